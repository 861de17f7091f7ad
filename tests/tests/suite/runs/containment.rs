//! What is not a finite number is undone, counted and left to be looked at; a panic in a user's code is an error; an evaluation ends.

use std::fs;

use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, NetConfig, Outcome, Report, UpdateContext};
use rl_env::{BoxSpace, Env, EnvError, EnvRng, EnvSpec, Registry, Space, Step, StepEnd, rng::stream};
use rl_nn::{Archive, Shards};
use rl_ppo::{Ppo, PpoConfig};
use rl_rollout::Collector;
use rl_train::{
    CheckpointConfig, EvalConfig, Event, NoImprovement, RewardReached, RunDir, Status, TrainConfig,
    TrainError, Trainer, Verdict, new_agent,
};
use rl_trpo::{Trpo, TrpoConfig};

fn env(id: &str) -> EnvSpec {
    Registry::builtin().get(id).unwrap().clone()
}

fn algorithms() -> Vec<(&'static str, Box<dyn Algorithm>)> {
    let ppo = PpoConfig { n_epochs: 2, ..PpoConfig::default() };
    let trpo = TrpoConfig { batch_size: Some(64), n_critic_updates: 2, ..TrpoConfig::default() };
    vec![("ppo", Box::new(Ppo::new(ppo).unwrap())), ("trpo", Box::new(Trpo::new(trpo).unwrap()))]
}

fn collected(id: &str, shared: bool) -> (ActorCritic, Batch) {
    let net =
        NetConfig { net_arch: [16, 16].into(), shared_layers: usize::from(shared), ..NetConfig::default() };
    let agent = new_agent(&env(id), &net, 1).unwrap();
    let mut collector = Collector::new(env(id).make_vec(4).unwrap(), 1).unwrap();
    let mut batch = Batch::new(&agent);
    let (policy, theta) = (agent.policy(), agent.policy_theta());
    collector.collect(policy, theta, 64, &mut batch.rollout, &mut Vec::new()).unwrap();
    batch.estimate_advantages(&agent, 0.99, 0.95, &mut Shards::new()).unwrap();
    (agent, batch)
}

fn update(algorithm: &mut dyn Algorithm, agent: &mut ActorCritic, batch: &Batch) -> Report {
    let mut rng = stream(0, "update", 0);
    algorithm.update(agent, batch, &mut UpdateContext::new(&mut rng)).unwrap()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

type Poison = fn(&mut Batch, f32);

/// NaN and infinities in everything that an update is made of: parameters and optimisers are bit for bit those before, and the next, sound
/// update is the one it would have been.
#[test]
fn what_is_not_finite_is_undone() {
    let poisons: [(&str, Poison); 4] = [
        ("an advantage", |batch, x| batch.advantages[7] = x),
        ("a return", |batch, x| batch.returns[7] = x),
        ("an old log-probability", |batch, x| batch.rollout.log_probs[7] = x),
        ("an observation", |batch, x| batch.rollout.observations[7] = x),
    ];
    for id in ["CartPole-v1", "Pendulum-v1"] {
        for shared in [false, true] {
            for (what, poison) in poisons {
                for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    for (name, mut algorithm) in algorithms() {
                        let (mut agent, batch) = collected(id, shared);
                        update(&mut *algorithm, &mut agent, &batch);
                        let (theta, state) = (bits(agent.theta()), algorithm.state().unwrap());
                        let mut bad = batch.clone();
                        poison(&mut bad, x);
                        let report = update(&mut *algorithm, &mut agent, &bad);
                        let told = format!("{name} in {id}, {what} of {x}: {:?}", report.outcome);
                        // An old log-probability of +∞ is a ratio of 0, and one of −∞ an infinite one.
                        if what == "an old log-probability" && x > 0.0 && report.outcome == Outcome::Applied {
                            continue;
                        }
                        assert!(report.outcome.is_rejected(), "{told}");
                        assert_eq!(bits(agent.policy_theta()), theta[..agent.policy_theta().len()], "{told}");
                        if matches!(report.outcome, Outcome::NonFinite(_)) {
                            assert_eq!(bits(agent.theta()), theta, "{told}");
                            assert!(algorithm.state().unwrap() == state, "{told}");
                        }
                    }
                }
            }
        }
    }
}

/// A learning rate that throws the policy away in one step (σ = ∞): the update is refused, and the run's end is an error with a valid checkpoint,
/// a dump of what it was made of, and a policy that can be loaded.
#[test]
fn a_run_that_only_breaks_ends_with_an_error() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "Pendulum-v1", "ppo", 0).unwrap();
    let spec = env("Pendulum-v1");
    let agent = new_agent(&spec, &NetConfig::default(), 0).unwrap();
    let before = bits(agent.theta());
    let config = TrainConfig { n_envs: 4, n_steps: 64, total_steps: 100_000, ..TrainConfig::default() };
    let ppo = PpoConfig { learning_rate: rl_optim::Schedule::Constant(1e30), ..PpoConfig::default() };
    let mut trainer = Trainer::new(&spec, config, agent, Box::new(Ppo::new(ppo).unwrap()), 0)
        .unwrap()
        .saving_in(dir.clone())
        .with_checkpoints(CheckpointConfig::tenths(100_000));
    let error = trainer.run().unwrap_err();
    assert!(error.to_string().contains("10 updates in a row were undone"), "{error}");
    assert_eq!(bits(trainer.agent().theta()), before);
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.file("summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["status"], &summary["rejected_updates"]), (&"failed".into(), &9.into()));
    assert!(!summary["warnings"].as_array().unwrap().is_empty());
    rl_train::Policy::load(dir.path()).unwrap();
    assert_eq!(rl_train::Checkpoint::latest(&dir).unwrap().step(), 9 * 256);
    let dumps: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("dump-"))
        .collect();
    assert_eq!(dumps.len(), 3);
    let dump = Archive::from_bytes(&fs::read(&dumps[0]).unwrap()).unwrap();
    assert!(dump.about["what"].as_str().is_some());
    assert_eq!(dump.f32s("advantages", &[256]).unwrap().len(), 256);
}

/// An environment that panics, fails, or gives rewards without end, at its n-th step.
struct Faulty {
    steps: u64,
    fault: &'static str,
}

impl Env for Faulty {
    type Action = usize;
    fn observation_space(&self) -> Space {
        BoxSpace::uniform(-1.0, 1.0, &[1]).into()
    }
    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }
    fn reset(&mut self, _: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        obs[0] = 0.0;
        Ok(())
    }
    fn step(&mut self, _: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.steps += 1;
        obs[0] = 0.5;
        let end = if self.steps.is_multiple_of(20) { StepEnd::Terminated } else { StepEnd::Continues };
        match self.fault {
            "panic" if self.steps == 150 => panic!("the cable broke"),
            "nan" if self.steps == 150 => Ok(Step { reward: f64::NAN, end }),
            "endless" => Ok(Step { reward: 1.0, end: StepEnd::Continues }),
            _ => Ok(Step { reward: 1.0, end }),
        }
    }
}

fn faulty(fault: &'static str) -> EnvSpec {
    EnvSpec::new("Faulty-v0", move || Faulty { steps: 0, fault })
}

fn trainer(spec: &EnvSpec, total_steps: u64) -> Trainer {
    let agent = new_agent(spec, &NetConfig::default(), 0).unwrap();
    let config = TrainConfig { n_envs: 2, n_steps: 64, total_steps, ..TrainConfig::default() };
    let ppo = PpoConfig { n_epochs: 1, ..PpoConfig::default() };
    Trainer::new(spec, config, agent, Box::new(Ppo::new(ppo).unwrap()), 0).unwrap()
}

#[test]
fn a_panic_in_an_environment_is_an_error() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "Faulty-v0", "ppo", 0).unwrap();
    rl_env::note_panics();
    let error = trainer(&faulty("panic"), 10_000).saving_in(dir.clone()).run().unwrap_err();
    assert!(matches!(&error, TrainError::At { update: 3, step: 256, .. }), "{error}");
    let told = error.to_string();
    assert!(
        told.contains("since its construction: a panic in an environment's `step`: the cable broke ("),
        "{told}"
    );
    assert!(told.contains("containment.rs:"), "{told}");
    let summary = fs::read_to_string(dir.file("summary.json")).unwrap();
    assert!(summary.contains("\"failed\"") && summary.contains("the cable broke"), "{summary}");
}

/// A reward that is no number is refused where it appears, or undone where it arrives; it never reaches the parameters.
#[test]
fn a_reward_that_is_no_number_reaches_no_parameter() {
    let mut trainer = trainer(&faulty("nan"), 2_000);
    let outcome = trainer.run();
    assert!(trainer.agent().theta().iter().all(|x| x.is_finite()));
    match outcome {
        Err(error) => assert!(error.to_string().contains("NaN"), "{error}"),
        Ok(summary) => assert!(summary.rejected_updates > 0),
    }
}

#[test]
fn an_episode_without_end_does_not_hang_an_evaluation() {
    let spec = faulty("endless");
    let eval = EvalConfig { episodes: 3, final_episodes: 3, max_steps: 50, ..EvalConfig::every(1_000) };
    let summary = trainer(&spec, 500).with_evaluation(&spec, eval).unwrap().run().unwrap();
    let evaluation = summary.eval.unwrap();
    assert_eq!((evaluation.episodes, evaluation.mean, evaluation.mean_length), (3, 50.0, 50.0));
    // And it says so; of episodes that end nothing is said.
    assert_eq!(evaluation.left, 3);
    let spec = faulty("none");
    let summary =
        trainer(&spec, 500).with_evaluation(&spec, EvalConfig::every(1_000)).unwrap().run().unwrap();
    assert_eq!(summary.eval.unwrap().left, 0);
}

/// A watcher ends a run with its evaluation at the end, and says why.
#[test]
fn a_watcher_ends_a_run() {
    let spec = faulty("none");
    let eval = EvalConfig { episodes: 2, final_episodes: 4, ..EvalConfig::every(256) };
    let run = |trainer: Trainer| trainer.with_evaluation(&spec, eval).unwrap().run().unwrap();
    let summary = run(trainer(&spec, 100_000).with_watcher(RewardReached(20.0)));
    assert_eq!((summary.status, summary.total_steps), (Status::Stopped, 256));
    assert!(summary.stopped_because.unwrap().contains("reached 20"));
    assert_eq!(summary.eval.unwrap().episodes, 4);
    let summary = run(trainer(&spec, 100_000).with_watcher(NoImprovement::for_evaluations(3)));
    assert_eq!((summary.status, summary.total_steps), (Status::Stopped, 4 * 256));
    let mut updates = 0;
    let summary = run(trainer(&spec, 100_000).with_watcher(move |event: Event<'_>| {
        updates += u32::from(matches!(event, Event::Update(_)));
        if updates == 3 { Verdict::Stop("three are enough".into()) } else { Verdict::Continue }
    }));
    assert_eq!((summary.updates, summary.stopped_because.as_deref()), (3, Some("three are enough")));
    assert_eq!(summary.eval.unwrap().episodes, 4);
}

/// An algorithm without a state has no checkpoints, and stops after the update in progress.
struct Stateless(Ppo);

impl Algorithm for Stateless {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.0.update(agent, batch, ctx)
    }
}

#[test]
fn an_algorithm_without_a_state_has_no_checkpoints() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "Faulty-v0", "own", 0).unwrap();
    let spec = faulty("none");
    let agent = new_agent(&spec, &NetConfig::default(), 0).unwrap();
    let config = TrainConfig { n_envs: 2, n_steps: 64, total_steps: 500, ..TrainConfig::default() };
    let own = Stateless(Ppo::new(PpoConfig::default()).unwrap());
    let trainer = Trainer::new(&spec, config, agent, Box::new(own), 0).unwrap();
    let checkpoints = CheckpointConfig::tenths(500);
    let summary = trainer.saving_in(dir.clone()).with_checkpoints(checkpoints).run().unwrap();
    assert_eq!(summary.status, Status::Finished);
    assert!(rl_train::Checkpoint::list(&dir).unwrap().is_empty());
}
