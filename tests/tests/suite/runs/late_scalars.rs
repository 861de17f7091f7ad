//! Scalars that are told for the first time in the middle of a run, by the algorithm and by the environment: a run that is killed at any event and goes on
//! leaves what the undisturbed one does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, NetConfig, Outcome, Report, UpdateContext};
use rl_env::{BoxSpace, Env, EnvError, EnvRng, EnvSpec, EnvState, Metric, Space, Step, StepEnd};
use rl_nn::State;
use rl_train::{
    CheckpointConfig, Csv, EvalConfig, Event, RunDir, Sink, SinkError, Summary, TensorBoard, TrainConfig,
    Trainer, new_agent, read_scalars,
};

/// Counts its steps; terminates at a step that the start draws, from 3 to 9. What it measures follows from the step alone.
#[derive(Clone, Default)]
struct Counter {
    t: u32,
    end: u32,
}

impl Env for Counter {
    type Action = usize;
    fn observation_space(&self) -> Space {
        BoxSpace::uniform(0.0, 10.0, &[1]).into()
    }
    fn action_space(&self) -> Space {
        Space::Discrete(2)
    }
    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        (self.t, self.end) = (0, rand::Rng::random_range(rng, 3..10));
        obs[0] = 0.0;
        Ok(())
    }
    fn step(&mut self, &action: &usize, _: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.t += 1;
        obs[0] = self.t as f32;
        let end = if self.t == self.end { StepEnd::Terminated } else { StepEnd::Continues };
        Ok(Step { reward: action as f64, end })
    }
    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::last("t"), Metric::mean("mean_t"), Metric::sum("odd"), Metric::last("long")]
    }
    fn read_metrics(&self, values: &mut [f64]) {
        (values[0], values[1]) = (f64::from(self.t), f64::from(self.t));
        values[2] = f64::from(self.t % 2);
        if self.t >= 8 {
            values[3] = 1.0;
        }
    }
    fn save(&self) -> Option<EnvState> {
        Some(EnvState::new("Counter").u64(self.t.into()).u64(self.end.into()))
    }
    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Counter")?;
        (self.t, self.end) = (words.u64()? as u32, words.u64()? as u32);
        words.finish()
    }
}

fn counter() -> EnvSpec {
    // Under a time limit, which cuts some of its episodes.
    EnvSpec::with_time_limit("Counter-v0", 8, Counter::default)
}

/// Learns nothing, and finds something new to tell at some updates.
struct Talks;

impl Algorithm for Talks {
    fn update(
        &mut self,
        _: &mut ActorCritic,
        batch: &Batch,
        ctx: &mut UpdateContext<'_>,
    ) -> Result<Report, AlgoError> {
        let left = ctx.progress_remaining;
        for (from, tag) in [(0.8, "late/b"), (0.6, "late/a"), (0.6, "alpha"), (0.3, "zeta")] {
            if left < from {
                ctx.log.scalar(tag, left);
            }
        }
        if left < 0.5 {
            ctx.log.histogram("late/returns", &batch.returns);
        }
        Ok(Report::new(Outcome::Applied))
    }
    fn state(&self) -> Result<Option<State>, AlgoError> {
        Ok(Some(State::new("Talks", 1)))
    }
    fn restore(&mut self, _: &ActorCritic, _: &State) -> Result<(), AlgoError> {
        Ok(())
    }
}

const ROLLOUT: u64 = 9 * 6;
const UPDATES: u64 = 10;

/// Nine environments, collected in two parts; normalised, in one.
fn trainer(dir: &RunDir, normalize: bool) -> Trainer {
    let config = TrainConfig {
        n_envs: 9,
        n_steps: 6,
        total_steps: UPDATES * ROLLOUT,
        normalize_observation: normalize,
        normalize_reward: normalize,
        ..TrainConfig::default()
    };
    let agent =
        new_agent(&counter(), &NetConfig { net_arch: [4].into(), ..NetConfig::default() }, 5).unwrap();
    let eval = EvalConfig { episodes: 3, final_episodes: 5, ..EvalConfig::every(2 * ROLLOUT) };
    // Seldom, so that much is told after each.
    let checkpoints =
        CheckpointConfig { freq: 4 * ROLLOUT, every: std::time::Duration::from_secs(3600), keep: 2 };
    Trainer::new(&counter(), config, agent, Box::new(Talks), 5)
        .unwrap()
        .with_evaluation(&counter(), eval)
        .unwrap()
        .with_histograms(3 * ROLLOUT)
        .saving_in(dir.clone())
        .with_checkpoints(checkpoints)
}

fn begun(dir: &RunDir, normalize: bool) -> Trainer {
    trainer(dir, normalize)
        .with_sink(TensorBoard::create(dir.path()).unwrap())
        .with_sink(Csv::create(&dir.file("progress.csv")).unwrap())
}

fn resumed(dir: &RunDir, normalize: bool) -> Trainer {
    trainer(dir, normalize)
        .with_sink(TensorBoard::append(dir.path()).unwrap())
        .with_sink(Csv::append(&dir.file("progress.csv")).unwrap())
        .resumed_from(dir)
        .unwrap()
}

/// Copies the run's directory at every event, as it would be found if the process were killed there.
struct Copies {
    from: PathBuf,
    to: PathBuf,
    n: usize,
}

impl Sink for Copies {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        // Nothing can be gone on with before the first checkpoint.
        if !matches!(event, Event::RunStarted(_)) {
            copy(&self.from, &self.to.join(self.n.to_string()));
            self.n += 1;
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The table by columns, times aside.
fn table(dir: &Path) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(dir.join("progress.csv")).unwrap();
    let mut rows = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let rows: Vec<_> = rows.collect();
    assert!(rows.iter().all(|row| row.len() == header.len()));
    let columns = header.iter().enumerate();
    let columns = columns.map(|(c, tag)| (tag.clone(), rows.iter().map(|row| row[c].clone()).collect()));
    columns.filter(|(tag, _): &(String, _)| !IS_TIME.contains(&tag.as_str())).collect()
}

const IS_TIME: [&str; 2] = ["time/fps", "time/time_elapsed"];

/// What TensorBoard is told, times aside.
fn told(dir: &Path) -> Vec<(i64, String, u32)> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let file = paths.into_iter().find(|path| path.to_string_lossy().contains("tfevents")).unwrap();
    let scalars = read_scalars(&file).unwrap().into_iter();
    let scalars = scalars.filter(|scalar| !IS_TIME.contains(&scalar.tag.as_str()));
    scalars.map(|scalar| (scalar.step, scalar.tag, scalar.value.to_bits())).collect()
}

fn timeless(summary: Summary) -> Summary {
    Summary { wall_seconds: 0.0, steps_per_second: 0.0, seconds_to_threshold: None, ..summary }
}

#[test]
fn what_is_told_late_survives_a_death_at_any_event() {
    for normalize in [false, true] {
        let out = tempfile::tempdir().unwrap();
        let whole = RunDir::create(out.path(), "Counter-v0", "whole", 0).unwrap();
        let copies = Copies { from: whole.path().to_owned(), to: out.path().join("copies"), n: 0 };
        let summary = begun(&whole, normalize).with_sink(copies).run().unwrap();
        let expected = (table(whole.path()), told(whole.path()));
        for tag in ["late/a", "late/b", "train/alpha", "train/zeta"] {
            let column = &expected.0[tag];
            assert!(column[0].is_empty() && !column[9].is_empty(), "{tag}: {column:?}");
        }
        let mut widths = std::collections::BTreeSet::new();
        // Ten updates, five evaluations and the end.
        for n in 0..16 {
            let dir = RunDir::open(&out.path().join("copies").join(n.to_string())).unwrap();
            let header = fs::read_to_string(dir.file("progress.csv")).unwrap();
            widths.insert(header.lines().next().map_or(0, |line| line.split(',').count()));
            let trainer = resumed(&dir, normalize);
            assert!(trainer.is_exact());
            let again = { trainer }.run().unwrap();
            assert_eq!(timeless(again), timeless(summary.clone()), "killed at event {n}");
            assert_eq!(table(dir.path()), expected.0, "killed at event {n}");
            assert_eq!(told(dir.path()), expected.1, "killed at event {n}");
            let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(!names.into_iter().any(|name| name.to_string_lossy().ends_with(".tmp")));
        }
        assert!(widths.len() > 4, "the table got wider again and again: {widths:?}");
    }
}

/// A table whose rows are others than the checkpoint speaks of is not gone on with.
#[test]
fn a_table_that_somebody_else_widened_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "Counter-v0", "whole", 0).unwrap();
    begun(&dir, false).run().unwrap();
    let path = dir.file("progress.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("late/a", "late/another")).unwrap();
    let trainer = trainer(&dir, false)
        .with_sink(TensorBoard::append(dir.path()).unwrap())
        .with_sink(Csv::append(&path).unwrap());
    let error = trainer.resumed_from(&dir).err().unwrap().to_string();
    assert!(error.contains("progress.csv") && error.contains("when the checkpoint was written"), "{error}");
}

/// The means over episodes are those of numbers that follow from the lengths of episodes.
#[test]
fn metrics_of_episodes_are_averaged() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "Counter-v0", "whole", 0).unwrap();
    let summary = begun(&dir, false).run().unwrap();
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    let eval = summary.eval.unwrap();
    for (metrics, mean_length) in [(&summary.mean_metrics_100, None), (&eval.metrics, Some(eval.mean_length))]
    {
        let mean_length = mean_length.unwrap_or_else(|| {
            table(dir.path())["rollout/ep_len_mean"].last().unwrap().parse::<f64>().unwrap()
        });
        // 1, …, n has the mean (n + 1) / 2.
        assert!(close(metrics["t"], mean_length), "{metrics:?} {mean_length}");
        assert!(close(metrics["mean_t"], (mean_length + 1.0) / 2.0), "{metrics:?} {mean_length}");
        assert!(metrics["odd"] >= mean_length / 2.0 && metrics["odd"] <= (mean_length + 1.0) / 2.0);
    }
    // Only of those episodes that have it.
    assert!(close(summary.mean_metrics_100["long"], 1.0));
    assert_eq!(summary.warnings, [""; 0]);
    let logged = table(dir.path());
    for (tag, value) in
        [("rollout/t", summary.mean_metrics_100["t"]), ("eval/mean_t", eval.metrics["mean_t"])]
    {
        assert_eq!(logged[tag].last().unwrap().parse::<f64>().unwrap().to_bits(), value.to_bits(), "{tag}");
    }
}

/// A metric that an environment never has a value of is named at the end, and one that takes the name of what every run tells is refused.
#[test]
fn metrics_without_values_and_with_taken_names_are_named() {
    #[derive(Clone, Default)]
    struct Silent(Counter, &'static str);
    impl Env for Silent {
        type Action = usize;
        fn observation_space(&self) -> Space {
            Env::observation_space(&self.0)
        }
        fn action_space(&self) -> Space {
            Env::action_space(&self.0)
        }
        fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
            Env::reset(&mut self.0, rng, obs)
        }
        fn step(&mut self, action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
            Env::step(&mut self.0, action, rng, obs)
        }
        fn metrics(&self) -> Vec<Metric> {
            vec![Metric::mean(self.1)]
        }
    }
    let make = |name: &'static str| {
        let env = EnvSpec::new("Silent-v0", move || Silent(Counter::default(), name));
        let config = TrainConfig { n_envs: 2, n_steps: 50, total_steps: 100, ..TrainConfig::default() };
        let agent = new_agent(&env, &NetConfig::default(), 0).unwrap();
        Trainer::new(&env, config, agent, Box::new(Talks), 0).map_err(|e| e.to_string())
    };
    let warnings = make("success").unwrap().run().unwrap().warnings;
    assert!(
        matches!(&warnings[..], [one] if one.contains("no value of \"success\" in any of")),
        "{warnings:?}"
    );
    let error = make("ep_rew_mean").err().unwrap();
    assert!(error.contains("\"ep_rew_mean\"") && error.contains("another name"), "{error}");
    let error = make("a,b").err().unwrap();
    assert!(error.contains("the metric \"a,b\"") && error.contains("comma"), "{error}");
}
