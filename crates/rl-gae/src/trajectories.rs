//! What the estimators read.

use std::ops::Range;

use num_traits::Float;

use crate::GaeError;

/// A rollout as the estimators see it: borrowed, time-major arrays of `T` steps of `N` environments.
///
/// # Shapes
///
/// `last_values` is `[N]`, everything else `[T, N]`; `T` follows from the length of `rewards`.
///
/// # Example
///
/// Three steps of one environment, the second of which ends an episode:
///
/// ```
/// let t = rl_gae::Trajectories {
///     n_envs: 1,
///     rewards: &[1.0, 2.0, 3.0],
///     values: &[0.5, 0.5, 0.5],
///     last_values: &[4.0],
///     final_values: &[0.0, 0.0, 0.0],
///     terminated: &[false, true, false],
///     truncated: &[false, false, false],
/// };
/// assert_eq!(t.n_steps(), 3);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Trajectories<'a, F> {
    /// `N`, the number of environments.
    pub n_envs: usize,
    /// `r_t`, the reward of step `t`.
    pub rewards: &'a [F],
    /// `V(s_t)`, the value of the observation that step `t` acted on.
    pub values: &'a [F],
    /// `V(s_T)`, the value of the observation after the last step.
    pub last_values: &'a [F],
    /// `V` of the final observation of the episode that step `t` truncated. Read only where `truncated` and not
    /// `terminated`; anything may stand elsewhere, even NaN.
    pub final_values: &'a [F],
    /// Whether step `t` ended its episode for good: the value of what follows is 0. Wins where `truncated` is set too.
    pub terminated: &'a [bool],
    /// Whether step `t` was the last of its episode only because of a limit: `final_values` stand for the rest.
    pub truncated: &'a [bool],
}

impl<F> Trajectories<'_, F> {
    /// `T`, the number of steps (0 where `n_envs` is 0).
    #[must_use]
    pub fn n_steps(&self) -> usize {
        self.rewards.len().checked_div(self.n_envs).unwrap_or(0)
    }
}

impl<F: Float> Trajectories<'_, F> {
    /// Checks every length, that of the output included.
    pub(crate) fn check(&self, out_name: &'static str, out: &[F]) -> Result<(), GaeError> {
        if self.n_envs == 0 {
            return Err(GaeError::NoEnvs);
        }
        if !self.rewards.len().is_multiple_of(self.n_envs) {
            return Err(GaeError::RaggedRewards { got: self.rewards.len(), n_envs: self.n_envs });
        }
        let lengths = [
            ("values", self.values.len(), self.rewards.len()),
            ("last_values", self.last_values.len(), self.n_envs),
            ("final_values", self.final_values.len(), self.rewards.len()),
            ("terminated", self.terminated.len(), self.rewards.len()),
            ("truncated", self.truncated.len(), self.rewards.len()),
            (out_name, out.len(), self.rewards.len()),
        ];
        match lengths.into_iter().find(|(_, got, expected)| got != expected) {
            Some((what, got, expected)) => Err(GaeError::WrongLength { what, got, expected }),
            None => Ok(()),
        }
    }

    /// What stands for everything after step `i`: nothing, the final observation's value, or `next`.
    #[inline]
    pub(crate) fn bootstrap(&self, i: usize, next: f64) -> f64 {
        if self.terminated[i] {
            0.0
        } else if self.truncated[i] {
            to_f64(self.final_values[i])
        } else {
            next
        }
    }

    /// Runs `step(i, carry, next) -> carry` backwards in time and writes `out(i, carry)`: the one loop of this crate.
    ///
    /// `i` is the element, `carry` that of the step after it (0 at the end of the rollout), `next` the value of the
    /// observation after it, were there no end of an episode. Environments go in blocks whose carries stay in
    /// registers, so there is nothing to allocate.
    #[inline]
    pub(crate) fn sweep_back(
        &self,
        out: &mut [F],
        initial: impl Fn(usize) -> f64,
        step: impl Fn(usize, f64, f64) -> f64,
        output: impl Fn(usize, f64) -> f64,
    ) {
        for envs in blocks(self.n_envs) {
            let mut carry = [0.0; BLOCK];
            let mut next = [0.0; BLOCK];
            for (lane, n) in envs.clone().enumerate() {
                carry[lane] = initial(n);
                next[lane] = to_f64(self.last_values[n]);
            }
            for t in (0..self.n_steps()).rev() {
                for (lane, n) in envs.clone().enumerate() {
                    let i = t * self.n_envs + n;
                    carry[lane] = step(i, carry[lane], next[lane]);
                    next[lane] = to_f64(self.values[i]);
                    out[i] = from_f64(output(i, carry[lane]));
                }
            }
        }
    }
}

const BLOCK: usize = 16;

fn blocks(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(BLOCK).map(move |start| start..n.min(start + BLOCK))
}

pub(crate) fn check_unit(what: &'static str, got: f64) -> Result<(), GaeError> {
    if (0.0..=1.0).contains(&got) { Ok(()) } else { Err(GaeError::OutOfRange { what, got }) }
}

// `f32` and `f64` always convert; NaN is what a stranger type that cannot would become.
#[inline]
pub(crate) fn to_f64<F: Float>(x: F) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

#[inline]
pub(crate) fn from_f64<F: Float>(x: f64) -> F {
    F::from(x).unwrap_or_else(F::nan)
}
