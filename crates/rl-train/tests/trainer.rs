//! The loop and its sinks, with an environment and algorithms small enough to know the answers.

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use rand::{Rng, RngCore};
use rl_algo::{
    ActorCritic, AlgoError, Algorithm, Batch, ConfigError, NetConfig, Outcome, Report, Setup, UpdateContext,
};
use rl_env::rng::stream;
use rl_env::{
    ActionsRef, BoxSpace, Env, EnvError, EnvRng, EnvSpec, NormalizeObservation, NormalizeReward, Space, Step,
    StepEnd, SyncVecEnv, VecEnv,
};
use rl_nn::Actions;
use rl_rollout::Rollout;
use rl_test_support as _;
use rl_train::{
    Acting, Actor, Csv, EvalConfig, Event, Policy, RunDir, Sink, SinkError, Status, TensorBoard, TrainConfig,
    TrainError, Trainer, evaluate, new_agent,
};

/// An episode lasts 1 or 50 steps, as its start decides; action 1 earns a point a step.
struct Lottery {
    left: u32,
}

impl Env for Lottery {
    type Action = usize;
    fn observation_space(&self) -> Space {
        BoxSpace::uniform(0.0, 50.0, &[1]).into()
    }
    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        self.left = draw(rng);
        obs[0] = 1.0;
        Ok(())
    }
    fn step(&mut self, &action: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.left -= 1;
        obs[0] = 1.0;
        let end = if self.left == 0 { StepEnd::Terminated } else { StepEnd::Continues };
        Ok(Step { reward: action as f64, end })
    }
}

fn draw(rng: &mut impl RngCore) -> u32 {
    if rng.random::<bool>() { 50 } else { 1 }
}

fn lottery() -> EnvSpec {
    EnvSpec::new("Lottery-v0", || Lottery { left: 0 }).with_reward_threshold(1.0)
}

/// Makes the policy prefer an action by the bias of its last layer, another one at every update.
struct Prefer {
    actions: Vec<usize>,
    name: &'static str,
    seen: Arc<Mutex<Vec<f64>>>,
}

impl Prefer {
    fn actions(actions: &[usize]) -> Box<Self> {
        Box::new(Prefer { actions: actions.to_vec(), name: "own", seen: Arc::default() })
    }
}

impl Algorithm for Prefer {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        _: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        self.seen.lock().unwrap().push(ctx.progress_remaining);
        let action = self.actions.remove(0);
        let n = agent.policy().n_params();
        agent.theta_mut()[n - 2 + action] = 100.0;
        agent.theta_mut()[n - 1 - action] = -100.0;
        Ok(Report { extra: vec![(self.name, action as f64)], ..Report::new(Outcome::Applied) })
    }
}

fn config(updates: u64) -> TrainConfig {
    // A budget that the last rollout overshoots.
    TrainConfig { n_envs: 2, n_steps: 50, total_steps: updates * 100 - 30, ..TrainConfig::default() }
}

fn trainer(algorithm: Box<dyn Algorithm>, updates: u64) -> Trainer {
    let agent = new_agent(&lottery(), &NetConfig::default(), 0).unwrap();
    Trainer::new(&lottery(), config(updates), agent, algorithm, 0).unwrap()
}

/// Writes down what it hears; fails at the given event.
#[derive(Clone, Default)]
struct Recorder {
    heard: Arc<Mutex<Vec<String>>>,
    fails_at: Option<usize>,
}

impl Sink for Recorder {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        let mut heard = self.heard.lock().unwrap();
        heard.push(match event {
            Event::RunStarted(info) => format!("start {} {}", info.algo, info.env),
            Event::Update(update) => format!("update {} at {}", update.iteration, update.step),
            Event::Evaluation { step, evaluation } => format!("eval {} at {step}", evaluation.episodes),
            Event::RunFinished(summary) => format!("end {:?}", summary.status),
            _ => "?".to_owned(),
        });
        if self.fails_at == Some(heard.len()) {
            return Err(SinkError::Other("the pencil broke".into()));
        }
        Ok(())
    }
}

#[test]
fn events_come_in_order_and_the_last_rollout_is_finished() {
    let recorder = Recorder::default();
    let algorithm = Prefer::actions(&[0, 1, 1]);
    let progress = algorithm.seen.clone();
    let eval = EvalConfig { episodes: 4, final_episodes: 6, ..EvalConfig::every(150) };
    let mut trainer =
        trainer(algorithm, 3).with_evaluation(&lottery(), eval).unwrap().with_sink(recorder.clone());
    let summary = trainer.run().unwrap();
    let heard = recorder.heard.lock().unwrap();
    assert_eq!(
        *heard,
        [
            "start custom Lottery-v0",
            "update 1 at 100",
            "update 2 at 200",
            "eval 4 at 200",
            "update 3 at 300",
            "eval 6 at 300",
            "end Finished"
        ]
    );
    assert_eq!((summary.total_steps, summary.updates, summary.steps_to_threshold), (300, 3, Some(200)));
    let expected = [100.0, 200.0, 300.0].map(|step| 1.0 - step / 270.0);
    assert_eq!(*progress.lock().unwrap(), expected);
}

/// Each environment contributes the same number of episodes, however long they last.
#[test]
fn evaluation_does_not_prefer_short_episodes() {
    let mut agent = new_agent(&lottery(), &NetConfig::default(), 0).unwrap();
    let n = agent.policy().n_params();
    agent.theta_mut()[n - 1] += 100.0;
    let mut env = lottery().make_vec(20).unwrap();
    let stop = AtomicBool::new(false);
    let actor = Actor { policy: agent.policy(), theta: agent.policy_theta(), normalizer: None };
    let e = evaluate(actor, &mut *env, 100.into(), 7, Acting::Deterministic, &stop).unwrap();
    // The lengths are known beforehand: five draws from each environment's stream, and a point a step.
    let lengths = (0..20).flat_map(|i| {
        let mut rng = stream(7, "eval", i);
        (0..5).map(move |_| f64::from(draw(&mut rng)))
    });
    let lengths: Vec<f64> = lengths.collect();
    assert_eq!(e.episodes, 100);
    assert!(
        (e.mean - lengths.iter().sum::<f64>() / 100.0).abs() < 1e-12
            && (e.mean_length - e.mean).abs() < 1e-12
    );
    assert!((e.min, e.max) == (1.0, 50.0));
    let stop = AtomicBool::new(true);
    let stopped = evaluate(actor, &mut *env, 100.into(), 7, Acting::Deterministic, &stop);
    assert!(matches!(stopped, Err(TrainError::Stopped)));
}

/// What an algorithm learns from is what the normalisers over the same environments give, with the run's γ; what is told of
/// episodes is raw.
#[test]
fn learning_sees_normalised_experience() {
    /// Keeps what it is given.
    struct Watcher(Arc<Mutex<Vec<Rollout>>>);
    impl Algorithm for Watcher {
        fn update(
            &mut self,
            _: &mut ActorCritic,
            batch: &Batch,
            _: &mut UpdateContext<'_>,
        ) -> Result<Report, AlgoError> {
            self.0.lock().unwrap().push(batch.rollout.clone());
            Ok(Report::new(Outcome::Applied))
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let config = TrainConfig { gamma: 0.5, normalize_observation: true, normalize_reward: true, ..config(3) };
    let agent = new_agent(&lottery(), &NetConfig::default(), 0).unwrap();
    let summary = Trainer::new(&lottery(), config, agent, Box::new(Watcher(seen.clone())), 4).unwrap().run();

    let mut envs = NormalizeReward::new(NormalizeObservation::new(lottery().make_vec(2).unwrap()), 0.5);
    envs.reset(4, "env").unwrap();
    let (mut running, mut returns) = ([0.0; 2], Vec::new());
    for rollout in seen.lock().unwrap().iter() {
        let Actions::Discrete(actions) = &rollout.actions else {
            panic!("the lottery's actions are discrete")
        };
        for (t, actions) in actions.chunks(2).enumerate() {
            let row = 2 * t..2 * t + 2;
            assert_eq!(rollout.observations[row.clone()], *envs.observations());
            envs.step(ActionsRef::Discrete(actions)).unwrap();
            let rewards: Vec<f32> = envs.rewards().iter().map(|&r| r as f32).collect();
            assert_eq!(rollout.rewards[row], rewards);
            for (i, end) in envs.ends().iter().enumerate() {
                running[i] += envs.raw_rewards()[i];
                if end.is_over() {
                    returns.push(std::mem::take(&mut running[i]));
                }
            }
        }
    }
    let recent = &returns[returns.len().saturating_sub(100)..];
    let mean = recent.iter().sum::<f64>() / recent.len() as f64;
    assert_eq!(summary.unwrap().mean_return_100, Some(mean));
}

#[test]
fn the_best_and_the_latest_policy_are_kept() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "Lottery-v0", "prefer", 0).unwrap();
    let eval = EvalConfig { final_episodes: 20, ..EvalConfig::every(100) };
    let summary = trainer(Prefer::actions(&[0, 1, 0, 0]), 4)
        .with_evaluation(&lottery(), eval)
        .unwrap()
        .saving_in(dir.clone())
        .run()
        .unwrap();
    let (mut best, mut latest) = (Policy::load(dir.best()).unwrap(), Policy::load(dir.path()).unwrap());
    let one = |policy: &mut Policy| policy.act(&[1.0], true).unwrap() == rl_nn::Actions::Discrete(vec![1]);
    assert!(one(&mut best) && !one(&mut latest));
    assert_eq!((best.steps(), latest.steps(), latest.env()), (200, 400, "Lottery-v0"));
    assert_eq!(latest.evaluate(&lottery(), 20, Acting::Deterministic).unwrap(), summary.eval.unwrap());
    assert!(fs::read_to_string(dir.file("summary.json")).unwrap().contains("\"status\": \"finished\""));
    let error = Policy::load(out.path()).err().unwrap().to_string();
    assert!(error.starts_with("cannot read ") && error.contains("policy.safetensors"), "{error}");
}

/// A sink's failure ends the run, and the others are told.
#[test]
fn no_event_is_lost_unnoticed() {
    let (failing, other) = (Recorder { fails_at: Some(3), ..Recorder::default() }, Recorder::default());
    let mut trainer = trainer(Prefer::actions(&[0, 1, 0]), 3).with_sink(failing).with_sink(other.clone());
    let error = trainer.run().unwrap_err();
    assert_eq!(error.to_string(), "update 2 (from step 100): the pencil broke");
    let heard = other.heard.lock().unwrap();
    assert_eq!(heard[1..], ["update 1 at 100", "update 2 at 200", "end Failed"]);
}

#[test]
fn scalars_have_names_of_their_own() {
    let clash = Box::new(Prefer { actions: vec![0], name: "approx_kl", seen: Arc::default() });
    let error = trainer(clash, 1).run().unwrap_err().to_string();
    assert!(error.contains("\"train/approx_kl\", which every update has already"), "{error}");

    /// Reports another scalar at every update, and logs one more.
    struct Moody(Vec<&'static str>);
    impl Algorithm for Moody {
        fn update(
            &mut self,
            _: &mut ActorCritic,
            _: &Batch,
            ctx: &mut UpdateContext<'_>,
        ) -> Result<Report, AlgoError> {
            let name = self.0.remove(0);
            ctx.log.scalar(&format!("moods/{name}"), f64::from(name.as_bytes()[0]) + 0.5);
            ctx.log.histogram("moods/all", &[1.0, f64::NAN]);
            Ok(Report { extra: vec![(name, 1.0)], ..Report::new(Outcome::Applied) })
        }
    }
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("progress.csv");
    let names = vec!["b", "a", "b", "c"];
    trainer(Box::new(Moody(names)), 4).with_sink(Csv::create(&path).unwrap()).run().unwrap();
    let table = fs::read_to_string(&path).unwrap();
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    assert!(header.is_sorted(), "{header:?}");
    let rows: Vec<_> = rows.collect();
    for (tag, cells) in [
        ("train/a", ["", "1", "", ""]),
        ("train/b", ["1", "", "1", ""]),
        ("train/c", ["", "", "", "1"]),
        ("moods/a", ["", "97.5", "", ""]),
        ("moods/b", ["98.5", "", "98.5", ""]),
        ("moods/c", ["", "", "", "99.5"]),
        ("time/total_timesteps", ["100", "200", "300", "400"]),
    ] {
        let column = header.iter().position(|column| *column == tag).unwrap();
        let found: Vec<&str> = rows.iter().map(|row| row[column]).collect();
        assert_eq!(found, cells, "{tag}");
    }
    assert!(Csv::create(&path).err().unwrap().to_string().contains("progress.csv"));
}

/// Tags that a log cannot have end the run with an error that names them.
#[test]
fn tags_that_cannot_be_are_named() {
    /// Logs a scalar, or a histogram, under one tag twice or once.
    struct Logs(&'static str, usize, bool);
    impl Algorithm for Logs {
        fn update(
            &mut self,
            _: &mut ActorCritic,
            _: &Batch,
            ctx: &mut UpdateContext<'_>,
        ) -> Result<Report, AlgoError> {
            for _ in 0..self.1 {
                ctx.log.scalar(self.0, 1.0);
            }
            if self.2 {
                ctx.log.histogram(self.0, &[1.0f32]);
            }
            Ok(Report::new(Outcome::Applied))
        }
    }
    for (tag, scalars, histogram, parts) in [
        ("", 1, false, ["\"train/\"", "empty part"]),
        ("a//b", 0, true, ["\"a//b\"", "empty part"]),
        ("a,b", 1, false, ["\"train/a,b\"", "comma"]),
        ("rollout/mine", 1, false, ["\"rollout/mine\"", "the run's own"]),
        ("time/mine", 0, true, ["\"time/mine\"", "the run's own"]),
        ("eval/mine", 1, false, ["\"eval/mine\"", "the run's own"]),
        ("approx_kl", 1, false, ["\"train/approx_kl\"", "every update has already"]),
        ("train/std", 1, false, ["\"train/std\"", "every update has already"]),
        ("mine", 2, false, ["\"train/mine\"", "twice"]),
        ("mine/x", 1, true, ["\"mine/x\"", "twice"]),
    ] {
        let error = trainer(Box::new(Logs(tag, scalars, histogram)), 1).run().unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{tag:?}: {error}");
        assert!(error.starts_with("update 1 (from step 0): "), "{error}");
    }
    trainer(Box::new(Logs("mine", 1, false)), 1).run().unwrap();
    trainer(Box::new(Logs("mine/x", 0, true)), 1).run().unwrap();
}

#[test]
fn a_stopped_run_ends_after_the_update() {
    let stop = Arc::new(AtomicBool::new(true));
    let mut trainer = trainer(Prefer::actions(&[0]), 1).stopped_by(stop.clone());
    let summary = trainer.run().unwrap();
    assert_eq!((summary.status, summary.updates), (Status::Interrupted, 0));
}

/// Two runs that log into one directory in the same second do not meet in one file.
#[test]
fn event_files_are_never_shared() {
    let out = tempfile::tempdir().unwrap();
    let logs: Vec<_> = (0..3).map(|_| TensorBoard::create(out.path()).unwrap()).collect();
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 3);
    drop(logs);
    let error = TensorBoard::create(&out.path().join("nowhere")).err().unwrap().to_string();
    assert!(error.contains("nowhere"), "{error}");
}

/// What an algorithm cannot work with is known before anything is collected, and mostly before any environment is made.
#[test]
fn an_algorithm_is_asked_about_its_setup() {
    /// Refuses one setup.
    struct Choosy(Setup);
    impl Algorithm for Choosy {
        fn update(
            &mut self,
            _: &mut ActorCritic,
            _: &Batch,
            _: &mut UpdateContext<'_>,
        ) -> Result<Report, AlgoError> {
            Ok(Report::new(Outcome::Applied))
        }
        fn check_setup(&self, setup: &Setup) -> Result<(), ConfigError> {
            rl_algo::check_setting("setup", format!("{setup:?}"), "another one", *setup != self.0)
        }
    }
    /// Lotteries whose vector may take steps of its own.
    struct Resets(SyncVecEnv<Lottery>, Vec<bool>);
    impl VecEnv for Resets {
        fn n_envs(&self) -> usize {
            self.0.n_envs()
        }
        fn observation_space(&self) -> &Space {
            self.0.observation_space()
        }
        fn action_space(&self) -> &Space {
            self.0.action_space()
        }
        fn reset(&mut self, seed: u64, purpose: &str) -> Result<(), EnvError> {
            self.0.reset(seed, purpose)
        }
        fn step(&mut self, actions: ActionsRef<'_>) -> Result<(), EnvError> {
            self.0.step(actions)
        }
        fn observations(&self) -> &[f32] {
            self.0.observations()
        }
        fn rewards(&self) -> &[f64] {
            self.0.rewards()
        }
        fn ends(&self) -> &[StepEnd] {
            self.0.ends()
        }
        fn final_observations(&self) -> &[f32] {
            self.0.final_observations()
        }
        fn valid(&self) -> Option<&[bool]> {
            Some(&self.1)
        }
    }
    let (one, spaces) = (lottery(), (lottery().observation_space, lottery().action_space));
    let silent = EnvSpec::from_vec("Resets-v0", spaces.0, spaces.1, |numbers| {
        let envs = numbers.clone().map(|_| Lottery { left: 0 }).collect();
        Ok(Box::new(Resets(SyncVecEnv::numbered_from(numbers.start, envs)?, vec![true; numbers.len()])))
    });
    let told = lottery().with_resets_in_steps();
    let trunk = NetConfig { shared_layers: 1, ..NetConfig::default() };
    let plain = Setup { rollout_len: 100, shares_trunk: false, every_row_counts: true };
    for (env, net, setup) in [
        (&one, NetConfig::default(), plain),
        (&one, trunk, Setup { shares_trunk: true, ..plain }),
        (&told, NetConfig::default(), Setup { every_row_counts: false, ..plain }),
        (&silent, NetConfig::default(), Setup { every_row_counts: false, ..plain }),
    ] {
        let agent = || new_agent(env, &net, 0).unwrap();
        let error = Trainer::new(env, config(1), agent(), Box::new(Choosy(setup)), 0).err().unwrap();
        assert!(error.to_string().starts_with("setup = Setup"), "{error}");
        let other = Setup { rollout_len: 101, ..setup };
        assert!(Trainer::new(env, config(1), agent(), Box::new(Choosy(other)), 0).is_ok());
    }
}
