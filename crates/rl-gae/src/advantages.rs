//! Generalised advantage estimation and its λ = 0 end, the TD error.

use num_traits::Float;

use crate::trajectories::{check_unit, to_f64};
use crate::{GaeError, Trajectories};

/// Writes the generalised advantage estimates.
///
/// ```text
/// δ_t = r_t + γ V'_{t+1} − V(s_t)        V'_{t+1} = 0                    after a termination
/// Â_t = δ_t + γ λ c_t Â_{t+1}                       V(final observation) after a truncation
/// c_t = 0 at the end of an episode, else 1          V(s_{t+1})           otherwise
/// ```
///
/// `λ = 0` gives the TD error, `λ = 1` the discounted return minus the value.
///
/// # Source
///
/// Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage Estimation", 2016, eq. 16, for
/// one unending trajectory; the ends follow Pardo et al., "Time Limits in Reinforcement Learning", 2018.
///
/// # Shapes
///
/// `advantages` is `[T, N]`.
///
/// # Errors
///
/// [`GaeError`] where a length does not fit, or `gamma` or `lambda` is outside `[0, 1]`; nothing is written then.
///
/// # Example
///
/// With `γ = λ = 1/2`: `δ_1 = 2 + 4/2 − 1 = 3`, `δ_0 = 1 + 1/2 − 1 = 1/2`, `Â_0 = 1/2 + 3/4`.
///
/// ```
/// let t = rl_gae::Trajectories {
///     n_envs: 1,
///     rewards: &[1.0, 2.0],
///     values: &[1.0, 1.0],
///     last_values: &[4.0],
///     final_values: &[0.0, 0.0],
///     terminated: &[false, false],
///     truncated: &[false, false],
/// };
/// let mut advantages = [0.0; 2];
/// rl_gae::gae(&t, 0.5, 0.5, &mut advantages)?;
/// assert_eq!(advantages, [1.25, 3.0]);
///
/// // The last step terminates: 2 − 1, whatever `last_values` says.
/// rl_gae::gae(&rl_gae::Trajectories { terminated: &[false, true], ..t }, 0.5, 0.5, &mut advantages)?;
/// assert_eq!(advantages, [0.75, 1.0]);
/// # Ok::<(), rl_gae::GaeError>(())
/// ```
pub fn gae<F: Float>(
    t: &Trajectories<'_, F>,
    gamma: f64,
    lambda: f64,
    advantages: &mut [F],
) -> Result<(), GaeError> {
    t.check("advantages", advantages)?;
    check_unit("gamma", gamma)?;
    check_unit("lambda", lambda)?;
    t.sweep_back(advantages, |_| 0.0, |i, after, next| advantage(t, gamma, lambda, i, after, next), |_, a| a);
    Ok(())
}

/// Writes the temporal-difference errors `δ_t = r_t + γ V'_{t+1} − V(s_t)`, with `V'` as in [`gae`].
///
/// # Source
///
/// Sutton and Barto, "Reinforcement Learning: An Introduction", 2nd edition, 2018, eq. 6.5.
///
/// # Shapes
///
/// `errors` is `[T, N]`.
///
/// # Errors
///
/// [`GaeError`] where a length does not fit, or `gamma` is outside `[0, 1]`; nothing is written then.
///
/// # Example
///
/// A truncated step bootstraps from its own final observation, here worth 10: `2 + 10/2 − 1`.
///
/// ```
/// let t = rl_gae::Trajectories {
///     n_envs: 1,
///     rewards: &[1.0, 2.0],
///     values: &[1.0, 1.0],
///     last_values: &[4.0],
///     final_values: &[f64::NAN, 10.0],
///     terminated: &[false, false],
///     truncated: &[false, true],
/// };
/// let mut errors = [0.0; 2];
/// rl_gae::td_errors(&t, 0.5, &mut errors)?;
/// assert_eq!(errors, [0.5, 6.0]);
/// # Ok::<(), rl_gae::GaeError>(())
/// ```
pub fn td_errors<F: Float>(t: &Trajectories<'_, F>, gamma: f64, errors: &mut [F]) -> Result<(), GaeError> {
    t.check("errors", errors)?;
    check_unit("gamma", gamma)?;
    t.sweep_back(errors, |_| 0.0, |i, _, next| td_error(t, gamma, i, next), |_, delta| delta);
    Ok(())
}

#[inline]
pub(crate) fn advantage<F: Float>(
    t: &Trajectories<'_, F>,
    gamma: f64,
    lambda: f64,
    i: usize,
    after: f64,
    next: f64,
) -> f64 {
    // A choice, not a product with 0: what another episode holds must not reach this one, were it infinite.
    let trace = if t.terminated[i] || t.truncated[i] { 0.0 } else { gamma * lambda * after };
    td_error(t, gamma, i, next) + trace
}

#[inline]
fn td_error<F: Float>(t: &Trajectories<'_, F>, gamma: f64, i: usize, next: f64) -> f64 {
    to_f64(t.rewards[i]) + gamma * t.bootstrap(i, next) - to_f64(t.values[i])
}
