//! A user's own program: the whole command line, with an environment that breaks and an algorithm that learns nothing.

use std::process::ExitCode;

use rl_algo::{ActorCritic, AlgoError, Algorithm, AlgorithmSpec, Batch, Outcome, Report, UpdateContext};
use rl_env::envs::CartPole;
use rl_env::{Env, EnvError, EnvRng, EnvSpec, Space, Step};

/// CartPole whose cable breaks at step 300.
struct Faulty {
    pole: CartPole,
    steps: u32,
}

impl Env for Faulty {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Env::observation_space(&self.pole)
    }

    fn action_space(&self) -> Space {
        Env::action_space(&self.pole)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        Env::reset(&mut self.pole, rng, obs)
    }

    fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.steps += 1;
        if self.steps > 300 {
            return Err(EnvError::Other("the cable broke".into()));
        }
        Env::step(&mut self.pole, action, rng, obs)
    }
}

/// Leaves the agent as it is, and says so but for the first time; with an ambition below 0 the first time too.
struct Lazy {
    ambition: f64,
    updates: u32,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LazyConfig {
    ambition: f64,
}

/// Ruins the policy, and does not notice.
struct Ruinous;

#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RuinousConfig {}

impl Algorithm for Ruinous {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        _: &Batch,
        _: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        agent.theta_mut()[0] = f32::NAN;
        Ok(Report::new(Outcome::Applied))
    }
}

impl Algorithm for Lazy {
    fn update(
        &mut self,
        _: &mut ActorCritic,
        _: &Batch,
        _: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.updates += 1;
        let outcome = match self.updates > 1 || self.ambition < 0.0 {
            true => Outcome::Rejected("not in the mood".to_owned()),
            false => Outcome::Applied,
        };
        Ok(Report { extra: vec![("mood", f64::NAN), ("naps", 1.0)], ..Report::new(outcome) })
    }
}

fn main() -> ExitCode {
    let faulty = EnvSpec::with_time_limit("Faulty-v0", 100, || Faulty { pole: CartPole::new(), steps: 0 });
    let lazy = AlgorithmSpec::new("lazy", "learns nothing", |config: LazyConfig| {
        Ok(Lazy { ambition: config.ambition, updates: 0 })
    });
    let ruinous = AlgorithmSpec::new("ruinous", "forgets everything", |_: RuinousConfig| Ok(Ruinous));
    rl_cli::App::new()
        .name("rl-under-test")
        .env(faulty)
        .algorithm(lazy)
        .algorithm(ruinous)
        .builders(rl_tests::builders())
        .main()
}
