//! What a critic is fitted to.

use num_traits::Float;

use crate::advantages::advantage;
use crate::trajectories::{check_unit, to_f64};
use crate::{GaeError, Trajectories};

/// Writes the λ-returns `R_t = Â_t + V(s_t)`, with `Â` the advantages of [`gae`](crate::gae).
///
/// # Source
///
/// Sutton and Barto, "Reinforcement Learning: An Introduction", 2nd edition, 2018, eq. 12.2-12.3 and, as a recursion,
/// 12.18; this is what Stable-Baselines3 fits its critics to.
///
/// # Shapes
///
/// `returns` is `[T, N]`.
///
/// # Errors
///
/// [`GaeError`] where a length does not fit, or `gamma` or `lambda` is outside `[0, 1]`; nothing is written then.
///
/// # Example
///
/// The advantages of [`gae`](crate::gae)'s example, `[1.25, 3]`, plus the values, `[1, 1]`:
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
/// let mut returns = [0.0; 2];
/// rl_gae::lambda_returns(&t, 0.5, 0.5, &mut returns)?;
/// assert_eq!(returns, [2.25, 4.0]);
/// # Ok::<(), rl_gae::GaeError>(())
/// ```
pub fn lambda_returns<F: Float>(
    t: &Trajectories<'_, F>,
    gamma: f64,
    lambda: f64,
    returns: &mut [F],
) -> Result<(), GaeError> {
    t.check("returns", returns)?;
    check_unit("gamma", gamma)?;
    check_unit("lambda", lambda)?;
    t.sweep_back(
        returns,
        |_| 0.0,
        |i, after, next| advantage(t, gamma, lambda, i, after, next),
        |i, a| a + to_f64(t.values[i]),
    );
    Ok(())
}

/// Writes the discounted (Monte-Carlo) returns `G_t = r_t + γ G_{t+1}`.
///
/// After a termination `G_{t+1}` is 0, after a truncation the value of the final observation, at the end of the
/// rollout `last_values`. `values` are not read otherwise.
///
/// # Source
///
/// Sutton and Barto, "Reinforcement Learning: An Introduction", 2nd edition, 2018, eq. 3.9.
///
/// # Shapes
///
/// `returns` is `[T, N]`.
///
/// # Errors
///
/// [`GaeError`] where a length does not fit, or `gamma` is outside `[0, 1]`; nothing is written then.
///
/// # Example
///
/// `G_1 = 2 + 4/2 = 4` from the bootstrap, `G_0 = 1 + 4/2 = 3`.
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
/// let mut returns = [0.0; 2];
/// rl_gae::discounted_returns(&t, 0.5, &mut returns)?;
/// assert_eq!(returns, [3.0, 4.0]);
/// # Ok::<(), rl_gae::GaeError>(())
/// ```
pub fn discounted_returns<F: Float>(
    t: &Trajectories<'_, F>,
    gamma: f64,
    returns: &mut [F],
) -> Result<(), GaeError> {
    t.check("returns", returns)?;
    check_unit("gamma", gamma)?;
    t.sweep_back(
        returns,
        |n| to_f64(t.last_values[n]),
        |i, after, _| to_f64(t.rewards[i]) + gamma * t.bootstrap(i, after),
        |_, g| g,
    );
    Ok(())
}
