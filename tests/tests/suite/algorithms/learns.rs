//! Whether something learns, as a test that says how often it errs.

use std::sync::atomic::{AtomicUsize, Ordering};

use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, NetConfig, Outcome, Report, UpdateContext};
use rl_env::{Env, EnvError, EnvRng, EnvSpec, Registry, Space, Step, StepEnd};
use rl_ppo::{Ppo, PpoConfig};
use rl_stats::Verdict;
use rl_train::TrainConfig;
use rl_train::testing::{Learns, learns};

/// One step: the action that is shown pays 1, every other nothing.
struct Echo {
    shown: usize,
}

impl Env for Echo {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Space::Discrete(3)
    }

    fn action_space(&self) -> Space {
        Space::Discrete(3)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.shown = rand::Rng::random_range(rng, 0..3);
        obs.fill(0.0);
        obs[self.shown] = 1.0;
        Ok(())
    }

    fn step(&mut self, action: &usize, _: &mut EnvRng, _: &mut [f32]) -> Result<Step, EnvError> {
        Ok(Step { reward: f64::from(u8::from(*action == self.shown)), end: StepEnd::Terminated })
    }
}

fn echo() -> EnvSpec {
    EnvSpec::new("Echo-v0", || Echo { shown: 0 })
}

fn test() -> Learns {
    let train = TrainConfig { n_envs: 8, n_steps: 32, total_steps: 16_384, ..TrainConfig::default() };
    Learns { threshold: 0.99, train, net: NetConfig::default(), ..Learns::default() }
}

fn ppo() -> Result<Box<dyn Algorithm>, AlgoError> {
    let config = PpoConfig { learning_rate: 1e-3.into(), batch_size: 64, ..PpoConfig::default() };
    Ok(Box::new(Ppo::new(config)?))
}

/// Leaves the agent as it is, or fails.
struct Lazy {
    fails: bool,
}

impl Algorithm for Lazy {
    fn update(
        &mut self,
        _: &mut ActorCritic,
        _: &Batch,
        _: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        if self.fails {
            return Err(AlgoError::Other("needs rest".into()));
        }
        Ok(Report::new(Outcome::Applied))
    }
}

#[test]
fn what_learns_passes() {
    let learned = learns(&echo(), ppo, &test()).unwrap();
    assert!(learned.passes(), "{learned}");
    // All seeds learn: eight are what the test takes.
    assert_eq!(learned.seeds.len(), 8, "{learned}");
    assert!(learned.to_string().starts_with("it learns: 8 of 8 seeds reach 0.99: s0 1.00 s1 "), "{learned}");
}

#[test]
fn what_does_not_learn_fails() {
    let learned = learns(&echo(), || Ok(Box::new(Lazy { fails: false })), &test()).unwrap();
    assert_eq!((learned.verdict, learned.seeds.len()), (Verdict::Fail, 2), "{learned}");
    assert!(learned.to_string().starts_with("it does not learn: 0 of 2 seeds reach 0.99: s0 "), "{learned}");
}

/// A run that fails is a seed that has not learned; the verdict does not depend on how many train at once.
#[test]
fn what_fails_does_not_learn() {
    let verdict = |threads| {
        let made = AtomicUsize::new(0);
        let algorithm = || {
            made.fetch_add(1, Ordering::Relaxed);
            Ok::<Box<dyn Algorithm>, AlgoError>(Box::new(Lazy { fails: true }))
        };
        let learned =
            rl_train::with_threads(threads, || learns(&echo(), algorithm, &test())).unwrap().unwrap();
        assert!(learned.seeds.iter().all(|seed| seed.mean_return.is_err()));
        assert!(learned.to_string().contains("failed ("), "{learned}");
        (learned.verdict, learned.seeds.iter().map(|s| s.seed).collect::<Vec<_>>())
    };
    assert_eq!(verdict(1), (Verdict::Fail, vec![0, 1]));
    assert_eq!(verdict(3), verdict(1));
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let env = Registry::builtin().get("CartPole-v1").unwrap().clone();
    let refused = |test: Learns| learns(&env, ppo, &test).unwrap_err().to_string();
    assert_eq!(refused(Learns { p1: 0.4, ..test() }), "p1 = 0.4: expected a number above p0");
    assert_eq!(refused(Learns { max_seeds: 0, ..test() }), "max_seeds = 0: expected an integer from 1 up");
    assert_eq!(refused(Learns { threshold: f64::NAN, ..test() }), "threshold = NaN: expected a number");
    let train = TrainConfig { n_envs: 0, ..TrainConfig::default() };
    assert!(refused(Learns { train, ..test() }).starts_with("n_envs = 0: expected"));
}
