//! Names that `check_env` finds before training or a look-up by name refuses them.

#![allow(clippy::unwrap_used, reason = "a test")]

use rl_env::{
    CheckParams, DynEnv, Env, EnvError, EnvRng, EnvSpec, Finding, Metric, Registry, Space, Step, StepEnd,
    check_env,
};
use rl_test_support as _;

/// Shows which of two actions was the last, under the names that a test gives.
struct Echo {
    space: Space,
    metric: &'static str,
    left: u32,
}

impl Env for Echo {
    type Action = usize;

    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }

    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.left = 7;
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, &action: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.left -= 1;
        obs.fill(action as f32);
        let end = if self.left == 0 { StepEnd::Truncated } else { StepEnd::Continues };
        Ok(Step { reward: 0.0, end })
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::last(self.metric)]
    }
}

fn spec(parts: &[&str], metric: &'static str) -> EnvSpec {
    let space = Space::dict(parts.iter().map(|name| (*name, Space::MultiBinary(2))));
    EnvSpec::new("Echo-v0", move || Echo { space: space.clone(), metric, left: 0 })
}

fn told(spec: &EnvSpec) -> Vec<String> {
    let make = || -> Box<dyn DynEnv> { spec.make() };
    check_env(&CheckParams::default(), &make).iter().map(Finding::to_string).collect()
}

/// Training refuses metrics with the names of what every run tells of its episodes.
#[test]
fn metrics_with_names_that_every_run_has() {
    for name in ["ep_rew_mean", "ep_len_mean", "mean_reward", "mean_ep_length"] {
        let spec = spec(&["a"], name);
        let why = "needs another name: every run tells that of its episodes";
        assert_eq!(told(&spec), [format!("metrics (step 0): the metric {name:?} {why}")]);
        assert!(spec.make_vec(2).err().unwrap().to_string().contains(why), "{name}");
    }
    assert_eq!(told(&spec(&["a"], "reward_mean")), [""; 0]);
}

#[test]
fn parts_without_names_of_their_own() {
    for (parts, fault) in [
        (&["a", ""][..], "has a part without a name"),
        (&[" "], "has a part without a name"),
        (&["a", "b", "a"], "has two parts called \"a\""),
        (&["a\nb"], "has a part called \"a\\nb\", with a control character in its name"),
    ] {
        let spec = spec(parts, "x");
        let found = told(&spec);
        assert!(found.len() == 1 && found[0].ends_with(fault), "{found:?}");
        assert!(found[0].starts_with("spaces (step 0): the observation space Dict("), "{found:?}");
        assert_eq!(found[0].lines().count(), 1, "{found:?}");
        let error = Registry::empty().register(spec).unwrap_err().to_string();
        assert!(error.ends_with(fault), "{error}");
    }
    assert_eq!(told(&spec(&["left/camera", "joint 1", "\"x\"", "a.b", "b"], "x")), [""; 0]);
}
