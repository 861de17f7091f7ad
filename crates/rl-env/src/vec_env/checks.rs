//! What every vector of environments refuses, on its way in and on its way out.

use super::VecEnv;
use crate::metric::metrics_fault;
use crate::{ActionRef, ActionsRef, EnvError, Space};

/// Refuses actions of the wrong length or kind, indices out of range, and reals that are not finite.
///
/// Errors name environment `number + i` for row `i`, and the step.
///
/// # Errors
///
/// [`EnvError::WrongLength`], [`EnvError::ActionKind`], and [`EnvError::At`] with an [`EnvError::InvalidAction`].
pub fn check_actions(
    space: &Space,
    n_envs: usize,
    actions: ActionsRef<'_>,
    number: usize,
    step: u64,
) -> Result<(), EnvError> {
    let a = space.action_len();
    if actions.len() != n_envs * a {
        return Err(EnvError::WrongLength { what: "the actions", got: actions.len(), expected: n_envs * a });
    }
    let bad = match (space, actions) {
        (Space::Discrete(count), ActionsRef::Discrete(xs)) => first_not_below(xs, *count),
        (Space::MultiBinary(_), ActionsRef::Discrete(xs)) => first_not_below(xs, 2),
        (Space::MultiDiscrete(ns), ActionsRef::Discrete(xs)) => {
            xs.iter().zip(ns.iter().cycle()).position(|(x, n)| x >= n)
        }
        (Space::Box(_), ActionsRef::Continuous(xs)) => first_not_finite(xs),
        (Space::Dict(_) | Space::Tuple(_), _) => return Err(not_actions(space)),
        (Space::Box(_), other) => return Err(EnvError::action_kind("reals", other.row(0, a))),
        (_, other) => return Err(EnvError::action_kind("indices", other.row(0, a))),
    };
    let Some(k) = bad else { return Ok(()) };
    let error = match actions.row(k / a, a) {
        ActionRef::Discrete(x) => EnvError::invalid_action(x, space.clone()),
        ActionRef::Continuous(x) => EnvError::invalid_action(x, space.clone()),
    };
    Err(error.at(number + k / a, step))
}

/// Refuses one environment's action of the wrong length or kind, indices out of range, and reals that are not finite.
pub(crate) fn check_action(space: &Space, action: ActionRef<'_>) -> Result<(), EnvError> {
    let expected = space.action_len();
    match (space, action) {
        (Space::Dict(_) | Space::Tuple(_), _) => Err(not_actions(space)),
        (Space::Box(_), ActionRef::Discrete(_)) => Err(EnvError::action_kind("reals", action)),
        (Space::Box(_), ActionRef::Continuous(a)) if a.len() == expected => match first_not_finite(a) {
            None => Ok(()),
            Some(_) => Err(EnvError::invalid_action(a, space.clone())),
        },
        (_, ActionRef::Discrete(a)) if a.len() == expected => {
            if space.contains(action) {
                Ok(())
            } else {
                Err(EnvError::invalid_action(a, space.clone()))
            }
        }
        (Space::Box(_), ActionRef::Continuous(a)) => Err(wrong_length(a.len(), expected)),
        (_, ActionRef::Discrete(a)) => Err(wrong_length(a.len(), expected)),
        (_, ActionRef::Continuous(_)) => Err(EnvError::action_kind("indices", action)),
    }
}

#[cold]
fn wrong_length(got: usize, expected: usize) -> EnvError {
    EnvError::WrongLength { what: "the action", got, expected }
}

/// The error for a space that has parts and so no actions.
#[cold]
fn not_actions(space: &Space) -> EnvError {
    let fault = space.action_fault().unwrap_or_default();
    EnvError::Contract(format!("the action space {space} {fault}"))
}

/// Refuses observations, `o` elements each, that hold a NaN or an infinity; errors name environment `number + i` for row `i`, and the step.
///
/// # Errors
///
/// [`EnvError::At`] with an [`EnvError::Contract`].
#[inline]
pub fn check_observations(obs: &[f32], o: usize, number: usize, step: u64) -> Result<(), EnvError> {
    let Some(k) = first_not_finite(obs) else {
        return Ok(());
    };
    Err(EnvError::Contract(format!("element {} of the observation is {}", k % o, obs[k]))
        .at(number + k / o, step))
}

/// Refuses masks that leave an environment nothing to do; errors name environment `number + i` for row `i`, and the step.
///
/// # Errors
///
/// [`EnvError::At`] with an [`EnvError::Contract`] that names the dimension of the action, or with an [`EnvError::WrongLength`].
pub fn check_masks(space: &Space, masks: &[bool], number: usize, step: u64) -> Result<(), EnvError> {
    let m = space.mask_len().max(1);
    masks
        .chunks(m)
        .enumerate()
        .try_for_each(|(i, mask)| space.check_mask(mask).map_err(|e| e.at(number + i, step)))
}

/// Refuses a vector whose metrics have no names of their own, or not one value each of every environment.
///
/// # Errors
///
/// [`EnvError::Contract`] and [`EnvError::WrongLength`].
pub fn check_metrics(env: &dyn VecEnv) -> Result<(), EnvError> {
    if let Some(fault) = metrics_fault(env.metrics()) {
        return Err(EnvError::Contract(fault));
    }
    let (got, expected) = (env.metric_values().len(), env.n_envs() * env.metrics().len());
    if got != expected {
        return Err(EnvError::WrongLength { what: "the values of the metrics", got, expected });
    }
    Ok(())
}

/// Where the first NaN or infinity stands. The common pass has no early exit, so that it vectorises.
#[inline]
fn first_not_finite(xs: &[f32]) -> Option<usize> {
    let bad = xs.iter().fold(false, |bad, x| bad | !x.is_finite());
    if bad { xs.iter().position(|x| !x.is_finite()) } else { None }
}

/// Where the first index that is not below `bound` stands. The common pass has no early exit, so that it vectorises.
#[inline]
fn first_not_below(xs: &[usize], bound: usize) -> Option<usize> {
    let bad = xs.iter().fold(false, |bad, &x| bad | (x >= bound));
    if bad { xs.iter().position(|&x| x >= bound) } else { None }
}
