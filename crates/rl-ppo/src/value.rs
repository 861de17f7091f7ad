//! The critic's loss.

use rl_algo::Reducer;
use rl_nn::{Network, NnError, Real, States};

use crate::loss::{LossConfig, Minibatch, Scratch};

/// How a value that has moved far from the old one is treated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueClip {
    /// `max((V − R)², (V_clip − R)²)`, as in OpenAI's baselines and CleanRL.
    Max(f64),
    /// `(V_clip − R)²`, as in Stable-Baselines3: without gradient once the value has moved so far, in whichever direction.
    Clipped(f64),
}

/// The critic's part of the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CriticLoss {
    /// `mean (V − R)²`, or what [`ValueClip`] makes of it.
    pub value_loss: f64,
}

/// The critic's loss on a minibatch; the gradient of `c_V` times it is written to `grad`.
///
/// `V_clip = V_old + clip(V − V_old, ±ε_V)`; see [`ValueClip`].
///
/// # Shapes
///
/// `theta` and `grad` `[critic.n_params()]`.
///
/// # Errors
///
/// [`NnError::Shape`] when critic, θ and minibatch do not fit.
///
/// # Panics
///
/// If a row lies outside the batch.
pub fn critic_loss<F: Real>(
    reducer: Reducer,
    critic: &dyn Network<F>,
    theta: &[F],
    batch: &Minibatch<'_, F>,
    config: &LossConfig,
    grad: &mut [F],
    scratch: &mut Scratch<F>,
) -> Result<CriticLoss, NnError> {
    scratch.gather_states(batch, batch.rows);
    scratch.gather_targets(batch, batch.rows)?;
    let Scratch { shards, observations, returns, old_values, dy, .. } = scratch;
    let states = States::new(observations, batch.policy.observations.width())?;
    let mut value = shards.linearize(critic, theta, states)?;
    dy.clear();
    let values = value.output().iter().copied();
    let loss = squared_error(values, returns, old_values, batch.rows.len(), config, |dv| dy.push(dv));
    value.vjp(dy, grad)?;
    reducer.sum(grad);
    Ok(loss)
}

/// `mean (V − R)²` of values, clipped or not, and the gradient of `c_V` times it with respect to them: passed to `push` one after another. The rows are
/// some of the `n` of a minibatch, and give their part of the gradient of its mean.
pub(crate) fn squared_error<F: Real>(
    values: impl ExactSizeIterator<Item = F>,
    returns: &[F],
    old_values: &[F],
    n: usize,
    config: &LossConfig,
    mut push: impl FnMut(F),
) -> CriticLoss {
    let (mut loss, rows) = (CriticLoss::default(), values.len() as f64);
    let scale = F::narrow(2.0 * config.vf_coef / n as f64);
    for ((v, &target), &old) in values.zip(returns).zip(old_values) {
        let (mut error, mut slope) = (v - target, F::one());
        if let Some(ValueClip::Max(range) | ValueClip::Clipped(range)) = config.value_clip {
            let range = F::narrow(range);
            let moved = v - old;
            let clipped = if moved > range {
                range
            } else if moved < -range {
                -range
            } else {
                moved
            };
            let clipped_error = old + clipped - target;
            let always = matches!(config.value_clip, Some(ValueClip::Clipped(_)));
            if always || clipped_error * clipped_error > error * error {
                // The clipped value does not depend on θ once it is cut.
                slope = if moved.abs() > range { F::zero() } else { F::one() };
                error = clipped_error;
            }
        }
        loss.value_loss += (error * error).widen();
        push(scale * error * slope);
    }
    loss.value_loss /= rows;
    loss
}
