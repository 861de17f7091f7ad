//! A run that is stopped and goes on is the run that was never stopped, to the bit; what must not change is refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, LogStd, NetConfig, Report, UpdateContext};
use rl_env::{EnvSpec, NormalizeObservation, Registry, SyncVecEnv, VecEnv, envs::CartPole};
use rl_nn::{Archive, State};
use rl_ppo::{Ppo, PpoConfig};
use rl_train::{
    Checkpoint, CheckpointConfig, Csv, EvalConfig, Event, RunDir, Sink, SinkError, Status, Summary,
    TensorBoard, TrainConfig, TrainError, Trainer, new_agent, with_threads,
};
use rl_trpo::{Trpo, TrpoConfig};

/// What a run is made of.
#[derive(Clone)]
struct Case {
    env: &'static str,
    trpo: bool,
    train: TrainConfig,
    net: NetConfig,
}

fn cases() -> Vec<Case> {
    let train = TrainConfig { n_envs: 4, n_steps: 64, total_steps: 2_500, ..TrainConfig::default() };
    let net = NetConfig { net_arch: [16].into(), ..NetConfig::default() };
    let case = |env, trpo, train, net| Case { env, trpo, train, net };
    let normalized = TrainConfig { normalize_observation: true, normalize_reward: true, ..train };
    let gsde = NetConfig { use_sde: true, sde_sample_freq: Some(5), ..net.clone() };
    let shared = NetConfig { shared_layers: 1, net_arch: [16, 16].into(), ..net.clone() };
    let state = NetConfig { log_std: LogStd::State, squash_output: true, ..net.clone() };
    let in_parts = TrainConfig { n_envs: 9, n_steps: 40, ..train };
    // Rollouts as long as their two episodes are.
    let episodes = TrainConfig { n_envs: 1, n_steps: 0, n_episodes: Some(2), ..normalized };
    vec![
        case("CartPole-v1", true, train, net.clone()),
        case("Pendulum-v1", false, normalized, gsde.clone()),
        case("Pendulum-v1", true, normalized, gsde),
        case("Nim-v0", false, train, net.clone()),
        case("Nim-v0", true, train, shared.clone()),
        case("Acrobot-v1", false, in_parts, shared),
        case("Pendulum-v1", false, in_parts, state),
        case("Pendulum-v1", true, episodes, net.clone()),
        case("CartPole-v1", true, episodes, net),
    ]
}

/// Sets the flag at the n-th event.
struct StopAt {
    left: u64,
    stop: Arc<AtomicBool>,
}

impl Sink for StopAt {
    fn event(&mut self, _: Event<'_>) -> Result<(), SinkError> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Case {
    fn env(&self) -> EnvSpec {
        Registry::builtin().get(self.env).unwrap().clone()
    }

    fn algorithm(&self) -> Box<dyn Algorithm> {
        if self.trpo {
            let config = TrpoConfig { batch_size: Some(64), n_critic_updates: 2, ..TrpoConfig::default() };
            return Box::new(Trpo::new(config).unwrap());
        }
        Box::new(Ppo::new(PpoConfig { n_epochs: 2, ent_coef: 0.01.into(), ..PpoConfig::default() }).unwrap())
    }

    fn trainer(&self, env: &EnvSpec, algorithm: Box<dyn Algorithm>) -> Trainer {
        let agent = new_agent(env, &self.net, 3).unwrap();
        let eval = EvalConfig { episodes: 3, final_episodes: 5, ..EvalConfig::every(700) };
        let trainer = Trainer::new(env, self.train, agent, algorithm, 3).unwrap();
        trainer.with_evaluation(env, eval).unwrap()
    }

    /// Every boundary, or those where it is due.
    fn checkpoints(&self) -> CheckpointConfig {
        every(if self.trpo { 1 } else { 900 })
    }

    fn begun(&self, dir: &RunDir) -> Trainer {
        self.trainer(&self.env(), self.algorithm())
            .with_sink(TensorBoard::create(dir.path()).unwrap())
            .with_sink(Csv::create(&dir.file("progress.csv")).unwrap())
            .saving_in(dir.clone())
            .with_checkpoints(self.checkpoints())
    }

    fn resumed(&self, dir: &RunDir) -> Trainer {
        self.trainer(&self.env(), self.algorithm())
            .with_sink(TensorBoard::append(dir.path()).unwrap())
            .with_sink(Csv::append(&dir.file("progress.csv")).unwrap())
            .saving_in(dir.clone())
            .with_checkpoints(self.checkpoints())
            .resumed_from(dir)
            .unwrap()
    }
}

fn every(freq: u64) -> CheckpointConfig {
    CheckpointConfig { freq, every: Duration::from_secs(3600), keep: 2 }
}

fn place(out: &Path, name: &str) -> RunDir {
    RunDir::create(out, "env", name, 0).unwrap()
}

/// Policies, checkpoint and table, times aside.
type Left = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<Vec<String>>);

/// What a run left.
fn left(dir: &RunDir) -> Left {
    let read = |path: &Path| fs::read(path).unwrap();
    let text = fs::read_to_string(dir.file("progress.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let timeless: Vec<usize> =
        (0..rows[0].len()).filter(|c| !["time/fps", "time/time_elapsed"].contains(&rows[0][*c])).collect();
    let rows = rows.iter().map(|row| timeless.iter().map(|&c| row[c].to_owned()).collect()).collect();
    let (_, newest) = Checkpoint::list(dir).unwrap().pop().unwrap();
    let best = dir.best().join("policy.safetensors");
    // All of a checkpoint but how often the run went on and how long its logs are, whose records hold times.
    let mut archive = rl_nn::Archive::from_bytes(&read(&newest)).unwrap();
    archive.about.retain(|key, _| key != "resumes" && !key.starts_with("sinks"));
    (read(&dir.file("policy.safetensors")), read(&best), archive.to_bytes().unwrap(), rows)
}

fn assert_same(a: &Left, b: &Left, case: &Case) {
    assert!(a.0 == b.0, "the policy: {} {:?}", case.env, case.net);
    assert!(a.1 == b.1, "the best policy: {} {:?}", case.env, case.net);
    assert_eq!(a.3, b.3, "the table: {} {:?}", case.env, case.net);
    let (a, b) = [&a.2, &b.2].map(|bytes| rl_nn::Archive::from_bytes(bytes).unwrap()).into();
    assert_eq!(a.about, b.about, "{}", case.env);
    assert!(a.names().eq(b.names()));
    for name in a.names().filter(|name| !name.starts_with("sinks")) {
        let bits = |archive: &rl_nn::Archive| format!("{:?}", archive.get(name).unwrap());
        assert!(bits(&a) == bits(&b), "{name} in the checkpoint: {} {:?}", case.env, case.net);
    }
}

/// Stopped at every kind of moment: after events, in the middle of a rollout or an update, twice.
#[test]
fn a_run_that_goes_on_is_the_run_that_was_never_stopped() {
    for case in cases() {
        let out = tempfile::tempdir().unwrap();
        let whole = place(out.path(), "whole");
        let summary = case.begun(&whole).run().unwrap();
        assert_eq!(summary.status, Status::Finished);
        let expected = left(&whole);
        for stops in [vec![1], vec![2], vec![4, 3], vec![7, 1, 1], vec![9]] {
            let dir = place(out.path(), "stopped");
            let mut first = true;
            for events in stops {
                let stop: Arc<AtomicBool> = Arc::default();
                let trainer = if first { case.begun(&dir) } else { case.resumed(&dir) };
                first = false;
                let watch = StopAt { left: events, stop: stop.clone() };
                let summary = trainer.with_sink(watch).stopped_by(stop).run().unwrap();
                assert_eq!(summary.status, Status::Interrupted, "{}", case.env);
            }
            let resumed = case.resumed(&dir);
            assert!(resumed.is_exact());
            let again = with_threads(2, move || {
                let mut resumed = resumed;
                resumed.run()
            })
            .unwrap()
            .unwrap();
            assert_eq!(timeless(again), timeless(summary.clone()), "{}", case.env);
            assert_same(&left(&dir), &expected, &case);
        }
    }
}

fn timeless(summary: Summary) -> Summary {
    Summary { wall_seconds: 0.0, steps_per_second: 0.0, seconds_to_threshold: None, ..summary }
}

/// An algorithm that asks to stop in its middle.
struct StopsInside {
    inner: Box<dyn Algorithm>,
    stop: Arc<AtomicBool>,
    updates: Arc<AtomicU64>,
    at: u64,
}

impl Algorithm for StopsInside {
    fn update(
        &mut self,
        agent: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        if self.updates.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.inner.update(agent, batch, ctx)
    }
    fn state(&self) -> Result<Option<State>, AlgoError> {
        self.inner.state()
    }
    fn restore(&mut self, agent: &ActorCritic, state: &State) -> Result<(), AlgoError> {
        self.inner.restore(agent, state)
    }
}

/// The update is left in its middle: what it has done is forgotten, and done again.
#[test]
fn an_update_that_is_left_is_done_again() {
    for case in cases() {
        let out = tempfile::tempdir().unwrap();
        let whole = place(out.path(), "whole");
        case.begun(&whole).run().unwrap();
        let dir = place(out.path(), "stopped");
        let stop: Arc<AtomicBool> = Arc::default();
        let algorithm =
            StopsInside { inner: case.algorithm(), stop: stop.clone(), updates: Arc::default(), at: 3 };
        let summary = case
            .trainer(&case.env(), Box::new(algorithm))
            .with_sink(TensorBoard::create(dir.path()).unwrap())
            .with_sink(Csv::create(&dir.file("progress.csv")).unwrap())
            .saving_in(dir.clone())
            .with_checkpoints(every(1))
            .stopped_by(stop)
            .run()
            .unwrap();
        assert_eq!((summary.status, summary.updates), (Status::Interrupted, 2), "{}", case.env);
        case.resumed(&dir).run().unwrap();
        assert_same(&left(&dir), &left(&whole), &case);
    }
}

/// More steps than first asked for: schedules keep the horizon they had, unless they are extended.
#[test]
fn a_finished_run_goes_on_with_a_larger_budget() {
    let out = tempfile::tempdir().unwrap();
    let dir = place(out.path(), "run");
    let case = cases().remove(3);
    let first = case.begun(&dir).run().unwrap();
    let more = Case { train: TrainConfig { total_steps: 4_000, ..case.train }, ..case.clone() };
    // What another program logs there is not ours to cut.
    let foreign = dir.file("events.out.tfevents.9999999999.host.41.0");
    fs::write(&foreign, [7; 1 << 20]).unwrap();
    let summary = more.resumed(&dir).run().unwrap();
    assert_eq!(fs::read(foreign).unwrap(), [7; 1 << 20]);
    assert!(summary.total_steps >= 4_000 && summary.status == Status::Finished);
    assert!(summary.wall_seconds > first.wall_seconds, "the first session's seconds are lost");
    let steps: Vec<u64> = Checkpoint::list(&dir).unwrap().into_iter().map(|(step, _)| step).collect();
    assert_eq!((steps.len(), steps.last()), (2, Some(&summary.total_steps)), "the last two stay");

    // An extension is not forgotten by a run that ends before it has come any further.
    let horizon = || {
        let (_, newest) = Checkpoint::list(&dir).unwrap().pop().unwrap();
        Archive::from_bytes(&fs::read(newest).unwrap()).unwrap().about["horizon"].as_u64()
    };
    assert_eq!(horizon(), Some(case.train.total_steps));
    let far = Case { train: TrainConfig { total_steps: 6_000, ..case.train }, ..case.clone() };
    let at_once: Arc<AtomicBool> = Arc::new(true.into());
    far.resumed(&dir).extending_schedules().stopped_by(at_once).run().unwrap();
    assert_eq!(horizon(), Some(6_000));
}

#[test]
fn what_may_not_change_is_refused_by_name() {
    let out = tempfile::tempdir().unwrap();
    let dir = place(out.path(), "run");
    let case = cases().remove(0);
    case.begun(&dir).run().unwrap();
    let resume = |case: &Case, trpo: bool| {
        let case = Case { trpo, ..case.clone() };
        let trainer = case.trainer(&case.env(), case.algorithm()).saving_in(dir.clone());
        trainer.with_checkpoints(every(1)).resumed_from(&dir).err().map(|e| e.to_string())
    };
    let other_gamma = Case { train: TrainConfig { gamma: 0.9, ..case.train }, ..case.clone() };
    let other_net = Case { net: NetConfig { net_arch: [8].into(), ..case.net.clone() }, ..case.clone() };
    let other_env = Case { env: "Acrobot-v1", ..case.clone() };
    for (case, trpo, parts) in [
        (&other_gamma, true, ["gamma = 0.99", "this one 0.9"]),
        (&other_net, true, ["its run has critic", "[4,8,1]"]),
        (&other_env, true, ["env = \"CartPole-v1\"", "Acrobot-v1"]),
        (&case, false, ["algo = \"trpo\"", "\"ppo\""]),
    ] {
        let error = resume(case, trpo).unwrap();
        assert!(parts.iter().all(|part| error.contains(part)) && error.contains("step-"), "{error}");
    }
    // The same run, but without the logs that it had.
    assert!(resume(&case, true).unwrap().contains("sink"));
    drop(case.resumed(&dir));
    let empty = place(out.path(), "empty");
    assert!(matches!(
        case.trainer(&case.env(), case.algorithm()).resumed_from(&empty),
        Err(TrainError::NoCheckpoint { .. })
    ));
}

/// Environments that cannot be saved start new episodes, and say so; what is known of observations stays.
#[test]
fn environments_without_a_state_start_new_episodes() {
    let known = Registry::builtin().get("CartPole-v1").unwrap().clone();
    let spec = EnvSpec::from_vec("Blind-v0", known.observation_space, known.action_space, |numbers| {
        Ok(Box::new(Blind(SyncVecEnv::numbered_from(
            numbers.start,
            numbers.map(|_| CartPole::new()).collect(),
        )?)))
    });
    let case =
        Case { train: TrainConfig { normalize_observation: true, ..cases()[0].train }, ..cases().remove(0) };
    let out = tempfile::tempdir().unwrap();
    let dir = place(out.path(), "run");
    let stop: Arc<AtomicBool> = Arc::default();
    let summary = case
        .trainer(&spec, case.algorithm())
        .saving_in(dir.clone())
        .with_checkpoints(every(1))
        .with_sink(StopAt { left: 5, stop: stop.clone() })
        .stopped_by(stop)
        .run()
        .unwrap();
    assert_eq!(summary.status, Status::Interrupted);
    let before = rl_train::Policy::load(dir.path()).unwrap().observation_normalizer().unwrap().count;
    let resume = || {
        let trainer = case.trainer(&spec, case.algorithm()).saving_in(dir.clone()).with_checkpoints(every(1));
        trainer.resumed_from(&dir).unwrap()
    };
    let mut trainer = resume();
    assert!(!trainer.is_exact());
    assert_eq!(trainer.run().unwrap().status, Status::Finished);
    let after = rl_train::Policy::load(dir.path()).unwrap().observation_normalizer().unwrap().count;
    assert!(after > before + 1000.0, "{before} {after}");
}

/// Environments that cannot be saved.
struct Blind(SyncVecEnv<CartPole>);

impl VecEnv for Blind {
    fn n_envs(&self) -> usize {
        self.0.n_envs()
    }
    fn observation_space(&self) -> &rl_env::Space {
        self.0.observation_space()
    }
    fn action_space(&self) -> &rl_env::Space {
        self.0.action_space()
    }
    fn reset(&mut self, seed: u64, purpose: &str) -> Result<(), rl_env::EnvError> {
        self.0.reset(seed, purpose)
    }
    fn step(&mut self, actions: rl_env::ActionsRef<'_>) -> Result<(), rl_env::EnvError> {
        self.0.step(actions)
    }
    fn observations(&self) -> &[f32] {
        self.0.observations()
    }
    fn rewards(&self) -> &[f64] {
        self.0.rewards()
    }
    fn ends(&self) -> &[rl_env::StepEnd] {
        self.0.ends()
    }
    fn final_observations(&self) -> &[f32] {
        self.0.final_observations()
    }
}

/// A layer's statistics survive by themselves, and refuse those of another.
#[test]
fn layers_are_saved_by_themselves() {
    let envs = SyncVecEnv::new(vec![CartPole::new(), CartPole::new()]).unwrap();
    let mut normalized = NormalizeObservation::new(Blind(envs));
    normalized.reset(0, "env").unwrap();
    assert!(normalized.save().is_none());
    let layers = normalized.save_layers();
    let mut again = NormalizeObservation::new(Blind(SyncVecEnv::new(vec![CartPole::new(); 2]).unwrap()));
    again.restore_layers(&layers).unwrap();
    assert_eq!(again.observation_normalizer(), normalized.observation_normalizer());
    assert!(again.restore_layers(&[]).is_err());
}
