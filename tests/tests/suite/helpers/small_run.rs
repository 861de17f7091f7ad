//! A run of PPO that takes milliseconds and leaves everything that runs leave.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rl_algo::{Algorithm, NetConfig};
use rl_env::{EnvSpec, Registry};
use rl_ppo::{Ppo, PpoConfig};
use rl_train::{
    Checkpoint, CheckpointConfig, Csv, EvalConfig, RunDir, TensorBoard, TrainConfig, Trainer, new_agent,
};

/// Steps of a rollout, two environments of 16 each.
pub(crate) const ROLLOUT: u64 = 32;

pub(crate) fn spec(env: &str) -> EnvSpec {
    Registry::builtin().get(env).unwrap().clone()
}

/// How its networks and its loop are set up: normalised, so that everything that can be saved is.
pub(crate) fn settings(env: &str, updates: u64) -> (NetConfig, TrainConfig) {
    let net = NetConfig { use_sde: env == "Pendulum-v1", ..NetConfig::default() };
    let train = TrainConfig {
        n_envs: 2,
        n_steps: 16,
        total_steps: updates * ROLLOUT,
        normalize_observation: true,
        normalize_reward: true,
        ..TrainConfig::default()
    };
    (net, train)
}

/// A run of so many updates, an evaluation at every second, a checkpoint at each; the last two stay.
pub(crate) fn trainer(env: &str, updates: u64, dir: &RunDir) -> Trainer {
    let checkpoints = CheckpointConfig { freq: ROLLOUT, every: Duration::from_secs(600), keep: 2 };
    bare(env, updates).saving_in(dir.clone()).with_checkpoints(checkpoints)
}

/// The same without any files.
pub(crate) fn bare(env: &str, updates: u64) -> Trainer {
    let (net, config) = settings(env, updates);
    let algorithm: Box<dyn Algorithm> =
        Box::new(Ppo::new(PpoConfig { batch_size: 16, n_epochs: 2, ..PpoConfig::default() }).unwrap());
    let agent = new_agent(&spec(env), &net, 7).unwrap();
    let eval =
        EvalConfig { episodes: 2, final_episodes: 2, max_steps: 100, ..EvalConfig::every(2 * ROLLOUT) };
    Trainer::new(&spec(env), config, agent, algorithm, 7).unwrap().with_evaluation(&spec(env), eval).unwrap()
}

/// The same with logs.
pub(crate) fn with_logs(trainer: Trainer, dir: &RunDir) -> Trainer {
    trainer
        .with_sink(TensorBoard::create(dir.path()).unwrap())
        .with_sink(Csv::create(&dir.file("progress.csv")).unwrap())
}

/// Runs it to its end in a directory of its own below `out`.
pub(crate) fn finished(out: &Path, env: &str, updates: u64) -> RunDir {
    let dir = RunDir::create(out, env, "ppo", 7).unwrap();
    with_logs(trainer(env, updates, &dir), &dir).run().unwrap();
    dir
}

/// Its newest checkpoint.
pub(crate) fn newest(dir: &RunDir) -> PathBuf {
    Checkpoint::list(dir).unwrap().pop().unwrap().1
}

/// The same after the older ones were removed, from which a run would go on where the newest is damaged.
pub(crate) fn only(dir: &RunDir) -> PathBuf {
    let newest = newest(dir);
    for (_, path) in Checkpoint::list(dir).unwrap() {
        if path != newest {
            std::fs::remove_file(path).unwrap();
        }
    }
    newest
}
