//! The same seed gives the same bits, for any number of threads; and the threads are really used.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use crate::helpers::command_line::{Place, SHORT, result};
use rl_algo::{ActorCritic, Algorithm, NetConfig};
use rl_env::rng::stream;
use rl_nn::{
    Activation, Carry, DistributionSpec, Mlp, Network, NnError, PolicyModel, Shape, States, Workspace,
};
use rl_ppo::{Ppo, PpoConfig};
use rl_train::{TrainConfig, Trainer, with_threads};
use rl_trpo::{Trpo, TrpoConfig};

/// Minibatches of more than one shard, so that a thread more can change the order of work.
const SHARDED: &[&str] = &["--set", "batch_size=512"];

/// Running statistics of observations and rewards.
const NORMALIZED: &[&str] = &["--set", "normalize_observation=true", "--set", "normalize_reward=true"];

#[test]
fn threads_change_nothing() {
    // Nine environments are collected in two parts.
    for (algo, env, n_envs, more) in [
        ("ppo", "CartPole-v1", "4", &[][..]),
        ("trpo", "CartPole-v1", "9", &[]),
        ("ppo", "Pendulum-v1", "9", &[]),
        ("trpo", "Pendulum-v1", "4", &[]),
        ("ppo", "MountainCar-v0", "9", NORMALIZED),
        ("trpo", "Pendulum-v1", "4", NORMALIZED),
    ] {
        let place = Place::new();
        let mut settings = [SHORT, SHARDED, more].concat();
        let flag = settings.iter().position(|word| *word == "--n-envs").unwrap();
        settings[flag + 1] = n_envs;
        let run = |threads| {
            place.train(algo, env, &[&settings[..], &["--seed", "11", "--threads", threads]].concat())
        };
        let first = result(&run("1"));
        for threads in ["2", "3", "7", "1"] {
            assert_eq!(result(&run(threads)), first, "{algo} on {env} with {threads} threads");
        }
        let other = result(&place.train(algo, env, &[&settings[..], &["--seed", "12"]].concat()));
        assert_ne!(other.0, first.0, "{algo} on {env}: another seed, the same progress");
        assert_ne!(other.1, first.1, "{algo} on {env}: another seed, the same policy");
    }
}

/// A perceptron that notes who works on it, and waits a moment for a thread that works on it or its partner at the same time.
struct Meeting {
    inner: Mlp,
    place: Arc<Rendezvous>,
}

/// Where the threads that work on the actor and the critic meet.
#[derive(Default)]
struct Rendezvous {
    seen: Mutex<Seen>,
    arrived: Condvar,
}

#[derive(Default)]
struct Seen {
    threads: HashSet<ThreadId>,
    inside: usize,
    met: bool,
}

impl Rendezvous {
    /// Once two have met nobody waits any more. Patience is short and tried often: a helper may come late.
    fn wait_for_another(&self) {
        let mut seen = self.seen.lock().unwrap();
        seen.threads.insert(std::thread::current().id());
        seen.inside += 1;
        seen.met |= seen.inside >= 2;
        self.arrived.notify_all();
        let patience = Duration::from_millis(50);
        let (mut seen, _) = self.arrived.wait_timeout_while(seen, patience, |seen| !seen.met).unwrap();
        seen.inside -= 1;
    }
}

impl Network<f32> for Meeting {
    fn shape(&self) -> &Shape {
        Network::<f32>::shape(&self.inner)
    }
    fn prepare(&self, theta: &[f32], ws: &mut Workspace<f32>) -> Result<(), NnError> {
        self.inner.prepare(theta, ws)
    }
    fn forward(
        &self,
        theta: &[f32],
        x: &States<'_, f32>,
        carry: &mut Carry<f32>,
        y: &mut [f32],
        ws: &mut Workspace<f32>,
    ) -> Result<(), NnError> {
        self.inner.forward(theta, x, carry, y, ws)
    }
    fn record(&self, theta: &[f32], x: &States<'_, f32>, ws: &mut Workspace<f32>) -> Result<(), NnError> {
        self.place.wait_for_another();
        self.inner.record(theta, x, ws)
    }
    fn vjp(
        &self,
        theta: &[f32],
        x: &States<'_, f32>,
        ws: &mut Workspace<f32>,
        dy: &[f32],
        grad: &mut [f32],
        dx: Option<&mut [f32]>,
    ) -> Result<(), NnError> {
        self.inner.vjp(theta, x, ws, dy, grad, dx)
    }
    fn jvp(
        &self,
        theta: &[f32],
        x: &States<'_, f32>,
        ws: &mut Workspace<f32>,
        v: &[f32],
        dx: Option<&[f32]>,
        dy: &mut [f32],
    ) -> Result<(), NnError> {
        self.inner.jvp(theta, x, ws, v, dx, dy)
    }
}

/// One update on 1024 steps; how many threads worked on actor and critic, and whether two ever did at the same time.
fn train_together(threads: usize, algorithm: Box<dyn Algorithm>) -> (usize, bool) {
    let env = rl_env::Registry::builtin().get("CartPole-v1").unwrap().clone();
    let plain = rl_train::new_agent(&env, &NetConfig::default(), 0).unwrap();
    let place = Arc::new(Rendezvous::default());
    let network = |n_outputs| {
        let inner = Mlp::new(&[4, 64, 64, n_outputs], Activation::Tanh).unwrap();
        Arc::new(Meeting { inner, place: place.clone() })
    };
    let policy =
        PolicyModel::new(network(2), DistributionSpec::Categorical { n: 2 }.build().unwrap()).unwrap();
    let agent = ActorCritic::new(policy, network(1), plain.theta().to_vec()).unwrap();
    let config = TrainConfig { n_envs: 4, n_steps: 256, total_steps: 1024, ..TrainConfig::default() };
    let mut trainer = Trainer::new(&env, config, agent, algorithm, 0).unwrap();
    let summary = with_threads(threads, move || trainer.run()).unwrap().unwrap();
    assert_eq!((summary.updates, summary.rejected_updates), (1, 0));
    let seen = place.seen.lock().unwrap();
    (seen.threads.len(), seen.met)
}

#[test]
fn several_threads_really_work() {
    let ppo = || Box::new(Ppo::new(PpoConfig { batch_size: 512, ..PpoConfig::default() }).unwrap());
    let trpo = || Box::new(Trpo::new(TrpoConfig::default()).unwrap());
    for threads in [2, 3] {
        for (name, (seen, met)) in
            [("ppo", train_together(threads, ppo())), ("trpo", train_together(threads, trpo()))]
        {
            assert!(
                met && seen >= 2,
                "{name} on {threads} threads: {seen} took part, at the same time: {met}"
            );
        }
    }
    let (seen, met) = train_together(1, ppo());
    assert!(seen == 1 && !met, "one thread met itself");
}

/// The streams that a run draws from differ by purpose, index and seed.
#[test]
fn streams_do_not_overlap() {
    use rand::RngCore;
    let mut firsts = HashSet::new();
    for seed in 0..4 {
        for purpose in ["init", "env", "action", "update", "eval"] {
            for index in 0..32 {
                assert!(firsts.insert(stream(seed, purpose, index).next_u64()), "{seed} {purpose} {index}");
            }
        }
    }
}
