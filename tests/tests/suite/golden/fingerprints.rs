//! Fingerprints of short runs: the same bits, whichever processor computes them, on however many threads.
//!
//! `tests/golden/fingerprints.json` holds a hash of every run's final parameters and of everything it reported. A change that moves
//! results on purpose writes it anew, and says so under **Numerics** in `CHANGELOG.md`:
//!
//! ```text
//! FINGERPRINTS=write cargo test --release -p rl-tests --test suite fingerprints
//! ```

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rl_algo::{Algorithm, NetArch, NetConfig};
use rl_env::rng::stream;
use rl_env::{Action, ActionsRef, EnvSpec, Registry, StepEnd};
use rl_nn::Activation;
use rl_optim::Schedule;
use rl_ppo::{A2c, A2cConfig, KlEstimator, NormalizeAdvantage, Ppo, PpoConfig, VfClip};
use rl_train::{EvalConfig, Event, Sink, SinkError, TrainConfig, Trainer, new_agent, with_threads};
use rl_trpo::{Trpo, TrpoConfig};

/// Of every run, the hash of each of its parts.
type Fingerprints = BTreeMap<String, BTreeMap<String, String>>;

const SEED: u64 = 7;

#[test]
fn runs_leave_the_committed_fingerprints() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/fingerprints.json");
    let found = fingerprints(1);
    if std::env::var_os("FINGERPRINTS").is_some_and(|what| what == "write") {
        std::fs::write(&path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
        return;
    }
    let committed: Fingerprints = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let differences = differences(&committed, &found);
    assert!(
        differences.is_empty(),
        "with the instruction set {}, {} of {} fingerprints are not the committed ones:\n  {}\n\
         If the numerics were not changed, the code gives other bits on this processor, which it must not. If they were, on purpose: \
         write the file anew (`FINGERPRINTS=write cargo test --release -p rl-tests --test suite fingerprints`), with an entry under \
         Numerics in CHANGELOG.md.",
        rl_test_support::active(),
        differences.len(),
        committed.len(),
        differences.join("\n  "),
    );
}

#[test]
fn two_threads_leave_the_same() {
    let (one, two) = (fingerprints(1), fingerprints(2));
    assert_eq!(differences(&one, &two), [""; 0], "one thread and two differ");
}

fn differences(expected: &Fingerprints, found: &Fingerprints) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let mut differences = Vec::new();
    for name in names {
        match (expected.get(name), found.get(name)) {
            (Some(expected), Some(found)) => {
                let parts = found.iter().filter(|(part, hash)| expected.get(*part) != Some(hash));
                let parts: Vec<_> = parts.map(|(part, _)| part.as_str()).collect();
                if !parts.is_empty() || expected.len() != found.len() {
                    differences.push(format!("{name}: other {}", parts.join(" and ")));
                }
            }
            (Some(_), None) => differences.push(format!("{name}: no such run any more")),
            (None, _) => differences.push(format!("{name}: a new run")),
        }
    }
    differences
}

/// What has a fingerprint: a name, and how its parts come about.
type Subject = (String, Box<dyn Fn() -> Vec<(&'static str, Fingerprint)> + Send + Sync>);

/// Trajectories, initial parameters, and runs.
fn subjects() -> Vec<Subject> {
    let registry = Registry::builtin();
    let spec_of = |id: &str| registry.get(id).unwrap().clone();
    let mut subjects: Vec<Subject> = Vec::new();
    for spec in registry.iter().cloned() {
        let title = format!("random policy, {}", spec.id);
        subjects.push((title, Box::new(move || vec![("trajectory", trajectory(&spec))])));
    }
    for (name, ortho_init) in [("orthogonal", true), ("uniform", false)] {
        for net_arch in [vec![64, 64], vec![256, 256], vec![7, 33]] {
            let (title, spec) = (format!("initialisation, {name}, {net_arch:?}"), spec_of("Pendulum-v1"));
            let net = NetConfig { net_arch: NetArch::Both(net_arch), ortho_init, ..NetConfig::default() };
            let parameters = move || {
                let agent = new_agent(&spec, &net, SEED).unwrap();
                vec![("parameters", Fingerprint::default().floats(agent.theta()))]
            };
            subjects.push((title, Box::new(parameters)));
        }
    }
    for run in runs() {
        let (title, spec) =
            (format!("{}, {}, {}", run.algorithm.name(), run.env, run.what), spec_of(run.env));
        subjects.push((title, Box::new(move || run.train(&spec))));
    }
    subjects
}

/// The fingerprints of all of them, on so many threads each; as many at once as there are cores for, since without fused multiply-adds of its own a processor
/// takes a minute and more.
fn fingerprints(threads: usize) -> Fingerprints {
    let (subjects, next, found) = (subjects(), AtomicUsize::new(0), Mutex::new(Fingerprints::new()));
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let work = || {
        while let Some((name, parts)) = subjects.get(next.fetch_add(1, Ordering::Relaxed)) {
            let parts = with_threads(threads, parts).unwrap();
            let hex = parts.into_iter().map(|(part, hash)| (part.to_owned(), hash.hex())).collect();
            found.lock().unwrap().insert(name.clone(), hex);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..(cores / threads).max(1) {
            scope.spawn(work);
        }
    });
    found.into_inner().unwrap()
}

/// FNV-1a (Fowler, Noll and Vo), 64 bits, of numbers' bytes, the lowest first.
#[derive(Clone)]
struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    }

    fn floats(mut self, x: &[f32]) -> Self {
        x.iter().for_each(|x| self.write(&x.to_le_bytes()));
        self
    }

    /// All NaN are the same: which bits an operation gives one is the processor's choice.
    fn float(&mut self, x: f64) {
        let x = if x.is_nan() { f64::NAN } else { x };
        self.write(&x.to_le_bytes());
    }

    fn hex(&self) -> String {
        format!("{:016x}", self.0)
    }
}

/// Where random actions lead: observations, rewards and ends of 500 steps of three environments side by side.
fn trajectory(spec: &EnvSpec) -> Fingerprint {
    const N: u64 = 3;
    let mut envs = spec.make_vec(N as usize).unwrap();
    let space = envs.action_space().clone();
    let mut rngs: Vec<_> = (0..N).map(|i| stream(SEED, "action", i)).collect();
    envs.reset(SEED, "env").unwrap();
    let mut hash = Fingerprint::default().floats(envs.observations());
    for _ in 0..500 {
        let (mut discrete, mut continuous) = (Vec::new(), Vec::new());
        for (i, rng) in rngs.iter_mut().enumerate() {
            let m = space.mask_len();
            let action = match envs.action_masks() {
                Some(masks) => space.sample_allowed(&masks[i * m..(i + 1) * m], rng).unwrap(),
                None => space.sample(rng),
            };
            match action {
                Action::Discrete(a) => discrete.extend(a),
                Action::Continuous(a) => continuous.extend(a),
            }
        }
        let actions = if continuous.is_empty() {
            ActionsRef::Discrete(&discrete)
        } else {
            ActionsRef::Continuous(&continuous)
        };
        envs.step(actions).unwrap();
        hash = hash.floats(envs.observations());
        for (i, (&reward, &end)) in envs.rewards().iter().zip(envs.ends()).enumerate() {
            hash.float(reward);
            hash.float(f64::from(end as u8));
            if end != StepEnd::Continues {
                let width = envs.observations().len() / N as usize;
                hash = hash.floats(&envs.final_observations()[i * width..(i + 1) * width]);
            }
        }
    }
    hash
}

enum Choice {
    Ppo(Box<PpoConfig>),
    A2c(A2cConfig),
    Trpo(TrpoConfig),
}

impl Choice {
    fn name(&self) -> &'static str {
        match self {
            Choice::Ppo(_) => "ppo",
            Choice::A2c(_) => "a2c",
            Choice::Trpo(_) => "trpo",
        }
    }
}

struct Run {
    algorithm: Choice,
    env: &'static str,
    what: &'static str,
    net: NetConfig,
    train: TrainConfig,
}

impl Run {
    fn train(&self, spec: &EnvSpec) -> Vec<(&'static str, Fingerprint)> {
        let algorithm: Box<dyn Algorithm> = match self.algorithm {
            Choice::Ppo(ref config) => Box::new(Ppo::new(PpoConfig::clone(config)).unwrap()),
            Choice::A2c(ref config) => Box::new(A2c::new(config.clone()).unwrap()),
            Choice::Trpo(ref config) => Box::new(Trpo::new(config.clone()).unwrap()),
        };
        let agent = new_agent(spec, &self.net, SEED).unwrap();
        let heard = Heard::default();
        let mut trainer = Trainer::new(spec, self.train, agent, algorithm, SEED)
            .unwrap()
            .with_evaluation(spec, EvalConfig { episodes: 2, final_episodes: 3, ..EvalConfig::every(1024) })
            .unwrap()
            .with_sink(heard.clone());
        let summary = trainer.run().unwrap();
        assert!(summary.updates > summary.rejected_updates, "{}: nothing was learnt", self.what);
        let parameters = Fingerprint::default().floats(trainer.agent().theta());
        let scalars = heard.0.lock().unwrap().clone();
        vec![("parameters", parameters), ("scalars", scalars)]
    }
}

/// Takes the fingerprint of all scalars that a run reports, but for those of time.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Fingerprint>>);

impl Sink for Heard {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        let mut hash = self.0.lock().unwrap();
        for (tag, value) in event.scalars() {
            if !["time/fps", "time/time_elapsed"].contains(&&*tag) {
                hash.write(tag.as_bytes());
                hash.float(value);
            }
        }
        Ok(())
    }
}

/// Every way through the code whose bits could depend on a processor.
fn runs() -> Vec<Run> {
    let train = TrainConfig { n_envs: 4, n_steps: 256, total_steps: 2048, ..TrainConfig::default() };
    let net = |net_arch: &[usize], activation| NetConfig {
        net_arch: NetArch::Both(net_arch.to_vec()),
        activation,
        ..NetConfig::default()
    };
    let mut runs = Vec::new();
    for env in ["CartPole-v1", "Pendulum-v1"] {
        for ppo in [true, false] {
            let algorithm = |batch_size| match ppo {
                true => Choice::Ppo(Box::new(PpoConfig { batch_size, ..PpoConfig::default() })),
                false => Choice::Trpo(TrpoConfig { batch_size: Some(batch_size), ..TrpoConfig::default() }),
            };
            let run = |what, batch_size, net: NetConfig, train| Run {
                algorithm: algorithm(batch_size),
                env,
                what,
                net,
                train,
            };
            let plain = NetConfig::default();
            runs.push(run("defaults", 64, plain.clone(), train));
            let normalized = TrainConfig { normalize_observation: true, normalize_reward: true, ..train };
            runs.push(run("normalised", 64, plain.clone(), normalized));
            // Nine environments are collected in two parts; minibatches of 640 rows are cut into three shards, the last one ragged.
            let parts = TrainConfig { n_envs: 9, n_steps: 128, ..train };
            runs.push(run("shards", 640, plain, parts));
            // Every product is packed.
            let short = TrainConfig { total_steps: 1024, ..train };
            runs.push(run("wide", 512, net(&[256, 256], Activation::Tanh), short));
            runs.push(run("relu", 64, net(&[64, 64], Activation::Relu), train));
            // Widths that are no multiple of a vector's, and minibatches that are no multiple either.
            runs.push(run("odd widths", 77, net(&[7, 33], Activation::Tanh), train));
        }
    }
    runs.push(Run {
        algorithm: Choice::Ppo(Box::new(PpoConfig {
            learning_rate: Schedule::Linear(1e-3),
            clip_range_vf: Some(Schedule::Constant(0.2)),
            ent_coef: 0.01.into(),
            target_kl: Some(0.02),
            ..PpoConfig::default()
        })),
        env: "Acrobot-v1",
        what: "entropy bonus, clipped values, early stopping, a schedule",
        net: NetConfig::default(),
        train,
    });
    let penalised = PpoConfig {
        max_grad_norm_each: true,
        recompute_advantage: true,
        normalize_advantage: NormalizeAdvantage::Batch,
        weight_decay: 0.01,
        clip_range_vf: Some(Schedule::Constant(0.2)),
        vf_clip: VfClip::Clipped,
        ..PpoConfig::kl_penalty()
    };
    let clipped = PpoConfig {
        clip_range_high: Some(Schedule::Constant(0.3)),
        dual_clip: Some(1.5),
        desired_kl: Some(0.01),
        target_kl: Some(0.05),
        kl_estimator: KlEstimator::Exact,
        ent_coef: "warmup_0.2_cos_0.01".parse().unwrap(),
        ..PpoConfig::default()
    };
    let a2c = A2cConfig { ent_coef: "exp_0.01_0.001".parse().unwrap(), ..A2cConfig::default() };
    for env in ["CartPole-v1", "Pendulum-v1"] {
        for (algorithm, what) in [
            (Choice::Ppo(Box::new(penalised.clone())), "a penalty"),
            (Choice::Ppo(Box::new(clipped.clone())), "clips of every kind, a learning rate that adapts"),
            (Choice::A2c(a2c.clone()), "RMSprop"),
        ] {
            runs.push(Run { algorithm, env, what, net: NetConfig::default(), train });
        }
    }
    runs.push(Run {
        algorithm: Choice::Trpo(TrpoConfig {
            accept_ratio: 0.1,
            max_kl: 0.05.into(),
            ..TrpoConfig::default()
        }),
        env: "MountainCarContinuous-v0",
        what: "a wide trust region, normalised",
        net: NetConfig { ortho_init: false, log_std_init: -0.5, ..NetConfig::default() },
        train: TrainConfig { normalize_observation: true, normalize_reward: true, ..train },
    });
    runs
}
