//! Fitting the value function by regression.

use rand::RngCore;
use rl_nn::{Network, NnError, Shards, States, gather};
use rl_optim::Adam;
use rl_rollout::Minibatches;

use crate::{AlgoError, Reducer};

/// The settings by which a critic is fitted to returns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CriticFit {
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Passes over the batch.
    pub n_epochs: usize,
    /// Rows of a step, drawn without replacement; `None` for steps on the whole batch, which draw nothing.
    pub batch_size: Option<usize>,
    /// How far a value may move from the old one before its gradient is cut; `None` for no limit.
    pub clip_range: Option<f64>,
}

/// What a critic is fitted to.
///
/// # Shapes
///
/// All `[B]`.
#[derive(Clone, Copy, Debug)]
pub struct CriticTargets<'a> {
    /// The returns R.
    pub returns: &'a [f32],
    /// The values before the fit, from which [`CriticFit::clip_range`] counts.
    pub old_values: &'a [f32],
}

/// The result of fitting a critic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CriticReport {
    /// Mean over all steps of the loss before the step.
    pub value_loss: f64,
    /// Whether the fit stayed finite; otherwise the parameters and the optimiser are as before.
    pub finite: bool,
}

/// Minimises `mean((V_θ(s) − R)²)` with Adam: over shuffled minibatches, or by steps on the whole batch.
///
/// With a clip range ε_V the loss is `mean max((V − R)², (V_clip − R)²)`, where `V_clip = V_old + clip(V − V_old, ±ε_V)`.
///
/// # Source
///
/// Minibatches as in OpenAI's baselines (`trpo_mpi`) and sb3-contrib, whole batches as in Spinning Up, the clipped loss as in baselines' `ppo2`.
/// One step on the whole batch with returns of λ = 0 is a step of TD(0), for those are `r + γ V(s')`.
///
/// # Shapes
///
/// `theta` `[n_params]` of the critic, `observations` `[B, O]`, targets `[B]`.
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
    targets: CriticTargets<'_>,
    fit: &CriticFit,
    adam: &mut Adam<f32>,
    rng: &mut dyn RngCore,
    shards: &mut Shards<f32>,
) -> Result<CriticReport, AlgoError> {
    let n_rows = observations.rows();
    NnError::check("the returns", targets.returns.len(), n_rows)?;
    NnError::check("the old values", targets.old_values.len(), n_rows)?;
    let before = (theta.to_vec(), adam.clone());
    let (mut minibatches, all): (_, Vec<usize>) = (Minibatches::new(n_rows), (0..n_rows).collect());
    let (mut obs, mut dv, mut grad) = (Vec::new(), Vec::new(), vec![0.0; theta.len()]);
    let (mut loss, mut steps) = (0.0, 0);
    let mut step = |rows: &[usize]| -> Result<(), AlgoError> {
        gather(observations.obs(), observations.width(), rows, &mut obs);
        let mut value = shards.linearize(critic, theta, States::new(&obs, observations.width())?)?;
        loss += squared_errors(value.output(), targets, rows, fit.clip_range, &mut dv);
        steps += 1;
        let scale = 2.0 / rows.len() as f32;
        dv.iter_mut().for_each(|d| *d *= scale);
        value.vjp(&dv, &mut grad)?;
        reducer.sum(&mut grad);
        adam.step(theta, &grad, fit.learning_rate)?;
        Ok(())
    };
    for _ in 0..fit.n_epochs {
        match fit.batch_size {
            None => step(&all)?,
            Some(batch_size) => minibatches.epoch(batch_size, rng).try_for_each(&mut step)?,
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

/// The mean over some rows of the (clipped) squared error; half its gradient with respect to `V`, but for the 1/n of the mean, is written to `dv`.
fn squared_errors(
    values: &[f32],
    targets: CriticTargets<'_>,
    rows: &[usize],
    clip_range: Option<f64>,
    dv: &mut Vec<f32>,
) -> f64 {
    dv.clear();
    let square = |error: f32| f64::from(error) * f64::from(error);
    let Some(range) = clip_range.map(|range| range as f32) else {
        dv.extend(values.iter().zip(rows).map(|(v, &row)| v - targets.returns[row]));
        return dv.iter().map(|&error| square(error)).sum::<f64>() / rows.len() as f64;
    };
    let mut sum = 0.0;
    for (v, &row) in values.iter().zip(rows) {
        let (target, old) = (targets.returns[row], targets.old_values[row]);
        let error = v - target;
        let clipped_error = old + (v - old).max(-range).min(range) - target;
        // False for a NaN, which so stays one.
        let is_cut = clipped_error * clipped_error > error * error;
        sum += square(if is_cut { clipped_error } else { error });
        // Where the clipped error is the larger one, the value has left the range, and does not count in it.
        dv.push(if is_cut && (v - old).abs() > range { 0.0 } else { error });
    }
    sum / rows.len() as f64
}
