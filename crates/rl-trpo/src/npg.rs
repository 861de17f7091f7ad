//! The natural policy gradient: TRPO's step without its line search.
//!
//! ```text
//! θ ← θ_old + √(2δ / xᵀ(F + λI)x) x,   x ≈ (F + λI)⁻¹ ∇L(θ_old)
//! ```
//!
//! Kakade (2001) leaves the learning rate open; here, as in Rajeswaran et al. (2017), it is the one with which the step ends where the quadratic
//! model of the divergence is δ. The divergence itself is not bounded: only what is not finite is refused.

use rl_algo::{
    ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Config, ConfigError, Report, Settings, Setup,
    UpdateContext,
};
use rl_nn::State;

use crate::{Trpo, TrpoConfig};

/// The settings of [`TrpoConfig`] that only the line search reads.
const OF_THE_SEARCH: &[&str] = &["kl_direction", "backtrack_coeff", "backtrack_iters", "accept_ratio"];

/// The natural policy gradient.
pub struct Npg(Trpo);

impl Npg {
    /// The natural policy gradient with the given settings; those of the line search (`kl_direction`, `backtrack_coeff`, `backtrack_iters`, `accept_ratio`)
    /// are not read.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a setting that cannot be used.
    pub fn new(config: TrpoConfig) -> Result<Self, ConfigError> {
        Ok(Npg(Trpo::new(config)?.taking_full_steps()))
    }
}

/// The natural policy gradient by name.
pub fn npg_spec() -> AlgorithmSpec {
    let make = |config: TrpoConfig| Ok(Npg::new(config)?);
    AlgorithmSpec::new("npg", "Natural policy gradient (Kakade 2001), its step sized by a trust region", make)
        .with_schema(TrpoConfig::schema().without(|key| OF_THE_SEARCH.contains(&key)))
        .with_aliases(&[("target_kl", "max_kl"), ("cg_max_steps", "cg_iters")])
}

impl Algorithm for Npg {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.0.update(agent, batch, ctx)
    }

    fn description(&self) -> (&str, Settings) {
        let (_, mut settings) = self.0.description();
        settings.retain(|key, _| !OF_THE_SEARCH.contains(&key.as_str()));
        ("npg", settings)
    }

    fn state(&self) -> Result<Option<State>, AlgoError> {
        self.0.state()
    }

    fn restore(&mut self, agent: &ActorCritic, state: &State) -> Result<(), AlgoError> {
        self.0.restore(agent, state)
    }

    fn check_setup(&self, setup: &Setup) -> Result<(), ConfigError> {
        self.0.check_setup(setup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every setting of TRPO but those of the line search, with the same defaults; one of the line search is refused.
    #[test]
    fn settings_are_those_of_trpo_without_the_search() {
        let (trpo, npg) = (TrpoConfig::schema(), npg_spec());
        for (key, default) in trpo.defaults() {
            let own = npg.schema.get(&key).map(|setting| setting.default.clone());
            assert_eq!(own, (!OF_THE_SEARCH.contains(&&*key)).then_some(default), "{key}");
        }
        assert_eq!(npg.schema.iter().count() + OF_THE_SEARCH.len(), trpo.iter().count());
        let made = |key: &str| {
            let settings = [(key.to_owned(), trpo.defaults()[key].clone())];
            npg.make(&settings.into_iter().collect())
        };
        assert!(made("max_kl").is_ok() && made("backtrack_coeff").is_err());
    }
}
