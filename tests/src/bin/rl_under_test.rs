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

/// Leaves the agent as it is, and says so.
struct Lazy;

#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LazyConfig {
    ambition: f64,
}

impl Algorithm for Lazy {
    fn update(
        &mut self,
        _: &mut ActorCritic,
        _: &Batch,
        _: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        let refused = Outcome::Rejected("not in the mood".to_owned());
        Ok(Report { extra: vec![("mood", f64::NAN), ("naps", 1.0)], ..Report::new(refused) })
    }
}

fn main() -> ExitCode {
    let mut envs = rl_env::Registry::builtin();
    let mut algorithms = rl_cli::builtin_algorithms();
    let faulty = EnvSpec::with_time_limit("Faulty-v0", 100, || Faulty { pole: CartPole::new(), steps: 0 });
    let lazy = AlgorithmSpec::new("lazy", "learns nothing", |_: LazyConfig| Ok(Lazy));
    if envs.register(faulty).is_err() || algorithms.register(lazy).is_err() {
        return ExitCode::FAILURE;
    }
    rl_cli::main_with(envs, algorithms)
}
