//! Environments collected in parts are one vector of environments: to the bit in networks whose products are not packed, for any number
//! of threads, also when one fails.

use rl_algo::{ActorCritic, Batch, NetConfig};
use rl_env::{
    BoxSpace, Env, EnvError, EnvRng, EnvSpec, NormalizeObservation, Registry, Space, Step, StepEnd, VecEnv,
};
use rl_rollout::{Collector, Episode};
use rl_train::with_threads;

fn agent(spec: &EnvSpec) -> ActorCritic {
    let env = spec.make();
    let net = NetConfig { net_arch: [24, 24].into(), ..NetConfig::default() };
    let mut rng = rl_env::rng::stream(0, "init", 0);
    ActorCritic::for_spaces(&env.observation_space(), &env.action_space(), &net, &mut rng).unwrap()
}

/// Two rollouts, one after the other, and all episodes; or the error of either.
fn collect(spec: &EnvSpec, n: usize, size: usize, threads: usize) -> (Vec<String>, Vec<Episode>) {
    let agent = agent(spec);
    let body = || {
        let mut batch = Batch::new(&agent);
        let mut collector = Collector::in_parts(spec.make_parts(n, size).unwrap(), 7).unwrap();
        let (mut seen, mut episodes) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (policy, theta) = (agent.policy(), agent.policy_theta());
            let outcome = collector.collect(policy, theta, 130, &mut batch.rollout, &mut episodes);
            seen.push(match outcome {
                Ok(()) => format!("{:?}", batch.rollout),
                Err(error) => error.to_string(),
            });
        }
        (seen, episodes)
    };
    with_threads(threads, body).unwrap()
}

#[test]
fn parts_are_one_vector() {
    let limited = EnvSpec::with_time_limit("Short-v0", 40, rl_env::envs::Pendulum::new);
    for spec in [Registry::builtin().get("CartPole-v1").unwrap().clone(), limited] {
        for n in [1, 7, 8, 40] {
            let whole = collect(&spec, n, n, 1);
            assert!(whole.1.len() >= n, "episodes end");
            for (size, threads) in [(1, 2), (3, 1), (3, 2), (4, 3), (32, 2)] {
                assert_eq!(
                    collect(&spec, n, size, threads),
                    whole,
                    "{n} in parts of {size}, {threads} threads"
                );
            }
        }
    }
}

/// Ends every tenth step; one in four, by its first observation, fails at step 25 plus that observation.
struct Failing {
    fails_at: u32,
    step: u32,
}

impl Env for Failing {
    type Action = usize;
    fn observation_space(&self) -> Space {
        BoxSpace::uniform(0.0, 100.0, &[1]).into()
    }
    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        use rand::Rng;
        if self.step == 0 {
            let drawn = rng.random_range(0..40);
            self.fails_at = if drawn % 4 == 0 { 25 + drawn } else { u32::MAX };
        }
        obs[0] = (self.step % 10) as f32;
        Ok(())
    }
    fn step(&mut self, _: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.step += 1;
        if self.step >= self.fails_at {
            return Err(EnvError::Other(format!("broken at {}", self.step).into()));
        }
        obs[0] = (self.step % 10) as f32;
        let end = if self.step.is_multiple_of(10) { StepEnd::Terminated } else { StepEnd::Continues };
        Ok(Step { reward: 1.0, end })
    }
}

#[test]
fn the_first_failure_is_reported_whatever_the_parts() {
    let spec = EnvSpec::new("Failing-v0", || Failing { fails_at: 0, step: 0 });
    let whole = collect(&spec, 16, 16, 1);
    assert!(whole.0[0].contains("broken at") && !whole.1.is_empty(), "{:?}", whole.0);
    for (size, threads) in [(1, 2), (5, 2), (8, 2), (8, 1)] {
        let (seen, episodes) = collect(&spec, 16, size, threads);
        assert_eq!((&seen[0], &episodes), (&whole.0[0], &whole.1), "parts of {size}");
    }
}

#[test]
fn what_cannot_be_parts_is_refused() {
    let registry = Registry::builtin();
    let part = |id: &str, from: usize| registry.get(id).unwrap().make_parts(8, 4).unwrap().remove(from);
    let normalized = |from| Box::new(NormalizeObservation::new(part("CartPole-v1", from))) as Box<dyn VecEnv>;
    for (envs, why) in [
        (vec![], "at least one environment"),
        (
            vec![part("CartPole-v1", 0), part("Acrobot-v1", 1)],
            "environment 4 has other spaces than environment 0",
        ),
        (vec![normalized(0), normalized(1)], "cannot share statistics"),
    ] {
        let error = Collector::in_parts(envs, 0).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(Collector::in_parts(vec![normalized(0)], 0).unwrap().observation_normalizer().is_some());
    let spec = registry.get("CartPole-v1").unwrap();
    assert!(spec.make_parts(0, 4).is_err() && spec.make_parts(4, 0).is_err());
}
