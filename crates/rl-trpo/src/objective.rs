//! The surrogate objective and the divergence on one batch, as functions of θ.

use rl_algo::{AlgoError, LinearizedPolicy, PolicyBatch, Reducer};
use rl_nn::{DistGrad, DistParams, NnError, PolicyModel, Real, Shards, States, gather};
use rl_optim::Trial;
use serde::{Deserialize, Serialize};

/// Which divergence of two policies the trust region is about. Both agree to second order in the step, so the Fisher matrix is that of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlDirection {
    /// `KL(π_old ‖ π_θ)`, as in the paper, OpenAI's baselines and Spinning Up.
    OldNew,
    /// `KL(π_θ ‖ π_old)`, as in sb3-contrib.
    NewOld,
}

/// How the KL divergence of a multi-dimensional action becomes one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlReduction {
    /// The sum over action dimensions: the divergence of the joint distribution.
    Sum,
    /// Its mean over action dimensions, as sb3-contrib computes it for Gaussians: `max_kl` and `cg_damping` then count `d` times.
    MeanPerDim,
}

/// The surrogate objective and the divergence on one batch.
pub(crate) struct Objective<'a, F: Real> {
    pub(crate) reducer: Reducer,
    pub(crate) policy: &'a PolicyModel<F>,
    pub(crate) batch: &'a PolicyBatch<'a, F>,
    pub(crate) ent_coef: f64,
    pub(crate) kl_direction: KlDirection,
    pub(crate) kl_reduction: KlReduction,
}

/// The policy that collected the batch: its distributions, and `L` there.
#[derive(Clone, Copy)]
pub(crate) struct Old<'a, F> {
    pub(crate) params: DistParams<'a, F>,
    pub(crate) objective: f64,
}

/// The memory of a trial, and what the last one found beside its verdict.
pub(crate) struct Candidate<F> {
    pub(crate) y: Vec<F>,
    /// Mean and largest of what the settings bound, summed over action dimensions.
    pub(crate) divergence: (f64, f64),
    pub(crate) entropy: f64,
}

impl<F: Real> Objective<'_, F> {
    /// `L` and `∇L` at the linearised policy: `∇L = Jᵀ (1/B) Σ_b [(π/π_old) A ∇log π(a_b|s_b) + c ∇H(s_b)]`.
    pub(crate) fn gradient(&self, pi: &mut LinearizedPolicy<'_, F>) -> Result<(f64, Vec<F>), NnError> {
        let distribution = &self.policy.distribution;
        let rows = self.batch.observations.rows();
        let mut ratio_adv = vec![F::zero(); rows];
        distribution.log_prob(pi.params(), self.batch.actions, &mut ratio_adv)?;
        self.ratio_times_advantage(&mut ratio_adv)?;
        let mut objective = self.reducer.mean(&ratio_adv);

        let per_row = 1.0 / rows as f64;
        let weight = F::narrow(per_row);
        ratio_adv.iter_mut().for_each(|w| *w *= weight);
        let mut dy = vec![F::zero(); pi.params().y.len()];
        let mut dglobals = vec![F::zero(); distribution.n_globals()];
        let grad = DistGrad { y: &mut dy, globals: &mut dglobals };
        distribution.log_prob_grad(pi.params(), self.batch.actions, &ratio_adv, grad)?;
        if self.ent_coef > 0.0 {
            objective += self.ent_coef * self.entropy(pi.params())?;
            let grad = DistGrad { y: &mut dy, globals: &mut dglobals };
            distribution.entropy_grad(pi.params(), F::narrow(self.ent_coef * per_row), grad)?;
        }
        let mut g = vec![F::zero(); self.policy.n_params()];
        pi.pull_back(&dy, &dglobals, &mut g)?;
        self.reducer.sum(&mut g);
        Ok((objective, g))
    }

    /// Mean entropy, in nats.
    pub(crate) fn entropy(&self, params: DistParams<'_, F>) -> Result<f64, NnError> {
        let mut h = vec![F::zero(); self.batch.observations.rows()];
        self.policy.distribution.entropy(params, &mut h)?;
        Ok(self.reducer.mean(&h))
    }

    /// 1 for the joint divergence, `1/d` for sb3-contrib's mean over action dimensions.
    pub(crate) fn kl_scale(&self) -> f64 {
        match self.kl_reduction {
            KlReduction::Sum => 1.0,
            KlReduction::MeanPerDim => 1.0 / self.policy.distribution.action_len() as f64,
        }
    }

    /// What `theta` would improve and how far it would go: a forward pass.
    pub(crate) fn try_step(
        &self,
        theta: &[F],
        old: Old<'_, F>,
        candidate: &mut Candidate<F>,
        shards: &mut Shards<F>,
    ) -> Result<Trial, AlgoError> {
        let (network, distribution) = (&*self.policy.network, &self.policy.distribution);
        shards.forward(network, self.policy.split(theta)?.0, &self.batch.observations, &mut candidate.y)?;
        self.policy.mask(&self.batch.observations, &mut candidate.y)?;
        let new = self.policy.params(&candidate.y, theta)?;
        let mut x = vec![F::zero(); self.batch.observations.rows()];
        match self.kl_direction {
            KlDirection::OldNew => distribution.kl(old.params, new, &mut x)?,
            KlDirection::NewOld => distribution.kl(new, old.params, &mut x)?,
        }
        candidate.divergence = (self.reducer.mean(&x), self.reducer.max(&x));
        let kl = self.kl_scale() * candidate.divergence.0;
        distribution.log_prob(new, self.batch.actions, &mut x)?;
        self.ratio_times_advantage(&mut x)?;
        candidate.entropy = self.entropy(new)?;
        let mut objective = self.reducer.mean(&x);
        if self.ent_coef > 0.0 {
            objective += self.ent_coef * candidate.entropy;
        }
        Ok(Trial { improvement: objective - old.objective, kl })
    }

    /// Mean and largest KL(π_old ‖ π_θ) of the last trial, which was at `theta`: what the trial measured already, unless the settings bound the other direction.
    pub(crate) fn divergence(
        &self,
        theta: &[F],
        old: Old<'_, F>,
        candidate: &Candidate<F>,
    ) -> Result<(f64, f64), NnError> {
        if self.kl_direction == KlDirection::OldNew {
            return Ok(candidate.divergence);
        }
        let mut x = vec![F::zero(); self.batch.observations.rows()];
        self.policy.distribution.kl(old.params, self.policy.params(&candidate.y, theta)?, &mut x)?;
        Ok((self.reducer.mean(&x), self.reducer.max(&x)))
    }

    /// Turns log-probabilities into `(π/π_old) A`, in place.
    fn ratio_times_advantage(&self, log_probs: &mut [F]) -> Result<(), NnError> {
        NnError::check("the advantages", self.batch.advantages.len(), log_probs.len())?;
        NnError::check("the old log-probabilities", self.batch.old_log_probs.len(), log_probs.len())?;
        log_probs.iter_mut().zip(self.batch.old_log_probs).for_each(|(x, &old)| *x -= old);
        F::exp_in_place(log_probs);
        log_probs.iter_mut().zip(self.batch.advantages).for_each(|(x, &advantage)| *x *= advantage);
        Ok(())
    }
}

/// A share of a batch's states, evenly spread over its steps and, in turn, over its environments.
pub(crate) struct SomeStates<F> {
    obs: Vec<F>,
    masks: Option<Vec<bool>>,
}

impl<F: Real> SomeStates<F> {
    /// The share nearest to `fraction`, at least one state.
    pub(crate) fn of(batch: &PolicyBatch<'_, F>, fraction: f64) -> Self {
        let (states, n) = (batch.observations, batch.observations.rows());
        let wanted = ((n as f64 * fraction).round() as usize).clamp(1, n.max(1)).min(n);
        let rows = spread(wanted, n / states.n_envs(), states.n_envs());
        let mut obs = Vec::new();
        gather(states.obs(), states.width(), &rows, &mut obs);
        let masks = states.masks().map(|masks| {
            let mut some = Vec::new();
            gather(masks, states.mask_width(), &rows, &mut some);
            some
        });
        SomeStates { obs, masks }
    }

    /// Them as a network sees them.
    pub(crate) fn states(&self, batch: &PolicyBatch<'_, F>) -> Result<States<'_, F>, NnError> {
        States::new(&self.obs, batch.observations.width())?.with_masks(self.masks.as_deref())
    }
}

/// So many different rows of `[T, N]`: the i-th lies i/wanted of the way through the steps, in the environment whose turn it is. (Every k-th row instead
/// would be of the same few environments wherever k and their number have a factor in common.)
fn spread(wanted: usize, n_steps: usize, n_envs: usize) -> Vec<usize> {
    // Those of one step are neighbours in turn, so that none is taken twice.
    let row = |i: usize| i * n_steps * n_envs / wanted / n_envs * n_envs + i % n_envs;
    (0..wanted).map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_are_spread_over_steps_and_environments() {
        assert_eq!(spread(5, 10, 1), [0, 2, 4, 6, 8]);
        assert_eq!(spread(5, 5, 2), [0, 3, 4, 7, 8]);
        assert_eq!(spread(6, 2, 3), [0, 1, 2, 3, 4, 5]);
        for (n_steps, n_envs) in [(50, 2), (12, 8), (7, 5), (1, 6), (9, 1)] {
            for wanted in 1..=n_steps * n_envs {
                let rows = spread(wanted, n_steps, n_envs);
                let different: BTreeSet<usize> = rows.iter().copied().collect();
                assert!(different.len() == wanted && rows.iter().all(|row| *row < n_steps * n_envs));
                for part in 0..n_envs {
                    let here = rows.iter().filter(|row| *row % n_envs == part).count();
                    assert!(here == wanted / n_envs || here == wanted.div_ceil(n_envs), "{rows:?}");
                }
                // Each lies where its share of the way is.
                let place = |i: usize| i * n_steps / wanted;
                assert!(rows.iter().enumerate().all(|(i, row)| row / n_envs == place(i)), "{rows:?}");
            }
        }
    }
}
