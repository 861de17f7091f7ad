//! Fitting the value function by minibatch regression.

use rand::RngCore;
use rl_nn::{Network, NnError, Shards, States, gather};
use rl_optim::Adam;
use rl_rollout::Minibatches;

use crate::{AlgoError, Reducer};

/// How a critic is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CriticFit {
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Passes over the batch.
    pub n_epochs: usize,
    /// Rows a step.
    pub batch_size: usize,
}

/// What a critic fit did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CriticReport {
    /// Mean over all steps of `mean((V(s) − R)²)` before the step.
    pub value_loss: f64,
    /// Whether the fit stayed finite; otherwise the parameters and the optimiser are as before.
    pub finite: bool,
}

/// Minimises `mean((V_θ(s) − R)²)` with Adam over shuffled minibatches.
///
/// # Shapes
///
/// `theta` `[n_params]` of the critic, `observations` `[B, O]`, `returns` `[B]`.
///
/// # Errors
///
/// [`NnError::Shape`] for slices that do not fit.
#[allow(clippy::too_many_arguments, reason = "everything the fit touches is visible in its signature")]
pub fn fit_critic(
    reducer: Reducer,
    critic: &dyn Network<f32>,
    theta: &mut [f32],
    observations: States<'_, f32>,
    returns: &[f32],
    fit: &CriticFit,
    adam: &mut Adam<f32>,
    rng: &mut dyn RngCore,
    shards: &mut Shards<f32>,
) -> Result<CriticReport, AlgoError> {
    NnError::check("the returns", returns.len(), observations.rows())?;
    let before = (theta.to_vec(), adam.clone());
    let mut minibatches = Minibatches::new(returns.len());
    let (mut obs, mut dv, mut grad) = (Vec::new(), Vec::new(), vec![0.0; theta.len()]);
    let (mut loss, mut steps) = (0.0, 0);
    for _ in 0..fit.n_epochs {
        for rows in minibatches.epoch(fit.batch_size, rng) {
            gather(observations.obs(), observations.width(), rows, &mut obs);
            let mut value = shards.linearize(critic, theta, States::new(&obs, observations.width())?)?;
            dv.clear();
            dv.extend(value.output().iter().zip(rows).map(|(v, &row)| v - returns[row]));
            loss += dv.iter().map(|&d| f64::from(d) * f64::from(d)).sum::<f64>() / rows.len() as f64;
            steps += 1;
            let scale = 2.0 / rows.len() as f32;
            dv.iter_mut().for_each(|d| *d *= scale);
            value.vjp(&dv, &mut grad)?;
            reducer.sum(&mut grad);
            adam.step(theta, &grad, fit.learning_rate)?;
        }
    }
    // A second moment that overflowed would hold its parameter for good.
    let finite = theta.iter().chain(&adam.v).all(|x| x.is_finite());
    if !finite {
        theta.copy_from_slice(&before.0);
        *adam = before.1;
    }
    Ok(CriticReport { value_loss: loss / f64::from(steps.max(1)), finite })
}
