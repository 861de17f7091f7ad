//! Actor and critic on a shared trunk, and policies whose actions are masked: their Fisher operators, gradients and trust regions.

use rand::{Rng, RngCore};
use rl_algo::{ActorCritic, Algorithm, Batch, LinearizedPolicy, LogStd, NetConfig, Outcome, UpdateContext};
use rl_env::{EnvRng, EnvSpec, Registry, rng::stream};
use rl_nn::{DistGrad, DistParams, PolicyModel, Shards, States};
use rl_optim::LinearOperator;
use rl_optim::vector::{axpy, dot, norm};
use rl_ppo::{NormalizeAdvantage, Ppo, PpoConfig};
use rl_rollout::Collector;
use rl_trpo::{Trpo, TrpoConfig};

fn env(id: &str) -> EnvSpec {
    Registry::builtin().get(id).unwrap().clone()
}

fn shared(net: NetConfig) -> NetConfig {
    NetConfig { net_arch: [16, 16].into(), shared_layers: 1, ..net }
}

/// Agents of every kind in environments that suit them.
fn agents() -> Vec<(&'static str, NetConfig)> {
    let plain = || NetConfig { net_arch: [16].into(), ..NetConfig::default() };
    vec![
        ("CartPole-v1", shared(plain())),
        ("Pendulum-v1", shared(plain())),
        ("Pendulum-v1", shared(NetConfig { use_sde: true, log_std_init: -1.0, ..plain() })),
        ("Pendulum-v1", NetConfig { use_sde: true, sde_sample_freq: Some(4), ..plain() }),
        ("Pendulum-v1", NetConfig { squash_output: true, ..plain() }),
        ("Pendulum-v1", shared(NetConfig { log_std: LogStd::State, squash_output: true, ..plain() })),
        ("Nim-v0", plain()),
        ("Nim-v0", shared(plain())),
        ("Lights-v0", shared(plain())),
        ("Crane-v0", plain()),
        ("Harbour-v0", plain()),
    ]
}

/// A batch with advantages that the agent itself collected, after its parameters were shaken out of their initial symmetry.
fn collected(id: &str, net: &NetConfig, seed: u64) -> (ActorCritic, Batch, Collector) {
    let (env, mut rng) = (env(id), stream(seed, "shake", 0));
    let mut agent =
        ActorCritic::for_spaces(&env.observation_space, &env.action_space, net, &mut rng).unwrap();
    agent.theta_mut().iter_mut().for_each(|x| *x += rng.random_range(-0.2..0.2));
    let mut collector = Collector::new(env.make_vec(4).unwrap(), seed).unwrap();
    let mut batch = Batch::new(&agent);
    collect(&agent, &mut collector, &mut batch);
    (agent, batch, collector)
}

fn collect(agent: &ActorCritic, collector: &mut Collector, batch: &mut Batch) {
    let (policy, theta) = (agent.policy(), agent.policy_theta());
    collector.collect(policy, theta, 48, &mut batch.rollout, &mut Vec::new()).unwrap();
    batch.estimate_advantages(agent, 0.99, 0.95, &mut Shards::new()).unwrap();
}

fn update(
    algorithm: &mut dyn Algorithm,
    agent: &mut ActorCritic,
    batch: &Batch,
    rng: &mut EnvRng,
) -> rl_algo::Report {
    let rng: &mut (dyn RngCore + Send) = rng;
    let mut ctx = UpdateContext::new(rng);
    algorithm.update(agent, batch, &mut ctx).unwrap()
}

/// The mean divergence from the policy that collected the batch, by a fresh pass, state by state.
fn mean_kl(policy: &PolicyModel<f32>, theta: &[f32], batch: &Batch) -> f64 {
    let states = states(policy, batch);
    let mut y = vec![0.0; states.rows() * policy.network.n_outputs()];
    Shards::new().forward(&*policy.network, policy.split(theta).unwrap().0, &states, &mut y).unwrap();
    policy.mask(&states, &mut y).unwrap();
    let old = DistParams { y: &batch.rollout.policy_outputs, globals: &batch.rollout.policy_globals };
    let mut kl = vec![0.0; states.rows()];
    policy.distribution.kl(old, policy.params(&y, theta).unwrap(), &mut kl).unwrap();
    kl.iter().map(|kl| f64::from(*kl)).sum::<f64>() / kl.len() as f64
}

fn states<'a>(policy: &PolicyModel<f32>, batch: &'a Batch) -> States<'a, f32> {
    let masks = Some(&batch.rollout.masks[..]).filter(|masks| !masks.is_empty());
    States::new(&batch.rollout.observations, policy.network.n_inputs()).unwrap().with_masks(masks).unwrap()
}

/// What the rollout keeps is what the policy gives afterwards, masks included: the divergence from itself is 0, the first ratio 1, and no masked
/// action was taken.
#[test]
fn a_rollout_holds_the_policy_that_made_it() {
    for (id, net) in agents() {
        let (agent, batch, _) = collected(id, &net, 3);
        let kl = mean_kl(agent.policy(), agent.policy_theta(), &batch);
        assert!(kl.abs() < 1e-12, "{id} {net:?}: {kl}");
        let mut shards = Shards::new();
        let policy = agent.policy();
        let pi =
            LinearizedPolicy::new(policy, agent.policy_theta(), states(policy, &batch), &mut shards).unwrap();
        let mut log_probs = vec![0.0; batch.len()];
        policy.distribution.log_prob(pi.params(), batch.rollout.actions.as_ref(), &mut log_probs).unwrap();
        for (new, old) in log_probs.iter().zip(&batch.rollout.log_probs) {
            assert!((new - old).abs() < 1e-5 * (1.0 + old.abs()), "{id}: {new} {old}");
        }
        if let (rl_nn::Actions::Discrete(a), false) = (&batch.rollout.actions, batch.rollout.masks.is_empty())
        {
            let width = batch.rollout.masks.len() / a.len();
            assert!(a.iter().zip(batch.rollout.masks.chunks(width)).all(|(a, mask)| mask[*a]), "{id}");
            assert!(batch.rollout.masks.contains(&false), "the case must be able to fail");
        }
    }
}

/// The Fisher operator is symmetric, positive, and the Hessian of the mean divergence: by differences of its gradient in `f32`, so roughly.
/// With gSDE the features stand still, as they do in the gradient.
#[test]
fn fisher_operators_are_hessians() {
    for (id, net) in agents() {
        let (agent, batch, _) = collected(id, &net, 5);
        let (policy, theta) = (agent.policy(), agent.policy_theta().to_vec());
        let mut rng = stream(9, "direction", 0);
        let mut direction = || -> Vec<f32> { theta.iter().map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (u, v) = (direction(), direction());
        let mut shards = Shards::new();
        let mut pi = LinearizedPolicy::new(policy, &theta, states(policy, &batch), &mut shards).unwrap();
        let mut fisher = pi.fisher(1.0);
        let (mut fu, mut fv) = (vec![0.0; u.len()], vec![0.0; v.len()]);
        fisher.apply(&u, &mut fu).unwrap();
        fisher.apply(&v, &mut fv).unwrap();
        let scale = norm(&u) * norm(&fv);
        assert!((dot(&u, &fv) - dot(&v, &fu)).abs() < 1e-5 * scale, "{id} {net:?}");
        assert!(dot(&u, &fu) > 0.0 && dot(&v, &fv) > 0.0, "{id} {net:?}");

        let gradient_at = |h: f64| {
            let mut moved = theta.clone();
            axpy(h, &v, &mut moved);
            let mut shards = Shards::new();
            let mut pi = LinearizedPolicy::new(policy, &moved, states(policy, &batch), &mut shards).unwrap();
            let old = DistParams { y: &batch.rollout.policy_outputs, globals: &batch.rollout.policy_globals };
            // Frozen features: those of the old policy.
            let mut y = pi.params().y.to_vec();
            if net.use_sde {
                let (n, dim) = (policy.network.n_outputs(), policy.distribution.action_len());
                for (row, old) in y.chunks_mut(n).zip(old.y.chunks(n)) {
                    row[dim..].copy_from_slice(&old[dim..]);
                }
            }
            let new = policy.params(&y, &moved).unwrap();
            let (mut dy, mut dglobals) = (vec![0.0; y.len()], vec![0.0; new.globals.len()]);
            let w = 1.0 / batch.len() as f32;
            policy
                .distribution
                .kl_grad(old, new, w, DistGrad { y: &mut dy, globals: &mut dglobals })
                .unwrap();
            let mut grad = vec![0.0; theta.len()];
            pi.pull_back(&dy, &dglobals, &mut grad).unwrap();
            grad
        };
        let h = 2e-3;
        let (ahead, behind) = (gradient_at(h), gradient_at(-h));
        let hessian: Vec<f32> = ahead.iter().zip(&behind).map(|(a, b)| (a - b) / (2.0 * h as f32)).collect();
        let mut distance = hessian.clone();
        axpy(-1.0, &fv, &mut distance);
        assert!(norm(&distance) < 2e-2 * norm(&fv), "{id} {net:?}: {} of {}", norm(&distance), norm(&fv));
    }
}

/// TRPO's bound holds for the update as a whole, the fit of the critic included; where nothing is accepted the policy has not moved.
#[test]
fn the_trust_region_holds_for_the_whole_update() {
    for (id, net) in agents() {
        let (mut agent, mut batch, mut collector) = collected(id, &net, 7);
        let config = TrpoConfig { batch_size: Some(32), n_critic_updates: 3, ..TrpoConfig::default() };
        let (mut trpo, mut rng, mut applied) = (Trpo::new(config).unwrap(), stream(1, "update", 0), 0);
        for _ in 0..12 {
            let (before, critic) = (agent.policy_theta().to_vec(), agent.critic_theta().to_vec());
            let report = update(&mut trpo, &mut agent, &batch, &mut rng);
            let kl = mean_kl(agent.policy(), agent.policy_theta(), &batch);
            assert!(kl <= 0.01 * (1.0 + 1e-4), "{id} {net:?}: {kl}");
            assert_ne!(critic, agent.critic_theta(), "{id}: the critic is fitted");
            match report.outcome {
                Outcome::Applied => applied += 1,
                _ => assert_eq!(before, agent.policy_theta(), "{id}"),
            }
            collect(&agent, &mut collector, &mut batch);
        }
        assert!(applied >= 6, "{id} {net:?}: {applied} of 12 steps were taken");
    }
}

/// PPO improves its surrogate on every kind of agent, and an update does not depend on the number of threads.
#[test]
fn ppo_improves_every_kind_of_agent() {
    for (id, net) in agents() {
        let run = |threads: usize| {
            let (mut agent, mut batch, mut collector) = collected(id, &net, 11);
            let config =
                PpoConfig { batch_size: 50, n_epochs: 4, ent_coef: 0.01.into(), ..PpoConfig::default() };
            let (mut ppo, mut rng) = (Ppo::new(config).unwrap(), stream(2, "update", 0));
            let mut gains = Vec::new();
            for _ in 0..4 {
                let report =
                    rl_train::with_threads(threads, || update(&mut ppo, &mut agent, &batch, &mut rng))
                        .unwrap();
                assert_eq!(report.outcome, Outcome::Applied, "{id} {net:?}");
                assert!(report.approx_kl.unwrap() > 0.0 && report.value_loss.unwrap().is_finite());
                gains.push(report.surrogate_gain.unwrap());
                collect(&agent, &mut collector, &mut batch);
            }
            (agent.theta().to_vec(), gains)
        };
        let (one, two) = (run(1), run(2));
        assert!(one == two, "{id} {net:?}: threads change a run");
        assert!(one.1.iter().all(|gain| *gain > 0.0), "{id} {net:?}: {:?}", one.1);
    }
}

/// A trunk that is shared and one that is not compute the same function of the same numbers: values, and the policy's outputs.
#[test]
fn joint_and_separate_passes_agree() {
    for (id, net) in agents().into_iter().filter(|(_, net)| net.shared_layers > 0) {
        let (agent, batch, _) = collected(id, &net, 13);
        let x = states(agent.policy(), &batch);
        let mut shards = Shards::new();
        let mut values = Vec::new();
        agent.values(&x, &mut values, &mut shards).unwrap();
        let (trunk, theta) = agent.trunk().unwrap();
        let mut features = vec![0.0; x.rows() * trunk.n_outputs()];
        shards.forward(trunk, theta, &x, &mut features).unwrap();
        let features = States::new(&features, trunk.n_outputs()).unwrap();
        let mut again = vec![0.0; x.rows()];
        shards.forward(agent.critic(), agent.critic_theta(), &features, &mut again).unwrap();
        assert_eq!(values, again, "{id}");
        assert_eq!(agent.policy().n_params() + agent.critic_theta().len(), agent.theta().len());
        assert_eq!(agent.joint().unwrap().head(1).0, agent.policy().n_params()..agent.theta().len());
    }
}

/// What PPO reports of a shared trunk's minibatches is their mean, whether they are divided among two threads or have a single row, which is not normalised.
#[test]
fn losses_of_a_shared_trunk_are_those_of_all_rows() {
    let (env, net) = (env("CartPole-v1"), shared(NetConfig::default()));
    let agent =
        ActorCritic::for_spaces(&env.observation_space, &env.action_space, &net, &mut stream(1, "net", 0))
            .unwrap();
    let (mut collector, mut batch) =
        (Collector::new(env.make_vec(3).unwrap(), 1).unwrap(), Batch::new(&agent));
    collector.collect(agent.policy(), agent.policy_theta(), 17, &mut batch.rollout, &mut Vec::new()).unwrap();
    batch.estimate_advantages(&agent, 0.99, 0.95, &mut Shards::new()).unwrap();
    let mean = |x: &mut dyn Iterator<Item = f64>| x.sum::<f64>() / batch.len() as f64;
    let advantage = mean(&mut batch.advantages.iter().map(|a| f64::from(*a)));
    let errors = batch.values.iter().zip(&batch.returns).map(|(v, r)| f64::from(v - r));
    let squared_error = mean(&mut errors.map(|error| error * error));
    let mut entropies = vec![0.0_f32; batch.len()];
    let old = DistParams { y: &batch.rollout.policy_outputs, globals: &[] };
    agent.policy().distribution.entropy(old, &mut entropies).unwrap();
    let entropy = mean(&mut entropies.iter().map(|h| f64::from(*h)));

    for (batch_size, normalize_advantage) in
        [(batch.len(), NormalizeAdvantage::Off), (1, NormalizeAdvantage::Minibatch)]
    {
        // The steps are too small to change anything.
        let config = PpoConfig {
            learning_rate: 1e-30.into(),
            n_epochs: 1,
            batch_size,
            normalize_advantage,
            ent_coef: 0.5.into(),
            vf_coef: 0.25,
            ..PpoConfig::default()
        };
        let mut moved = agent.clone();
        let report = update(&mut Ppo::new(config).unwrap(), &mut moved, &batch, &mut stream(2, "update", 0));
        let mut steps = moved.theta().iter().zip(agent.theta()).map(|(new, old)| (new - old).abs());
        assert!(report.outcome == Outcome::Applied && steps.all(|step| step < 1e-20));
        let of = |name| report.extra.iter().find(|(key, _)| *key == name).unwrap().1;
        let near = |got: f64, expected: f64| {
            assert!((got / expected - 1.0).abs() < 1e-4, "{batch_size}: {got} instead of {expected}");
        };
        near(of("policy_gradient_loss"), -advantage);
        near(report.value_loss.unwrap(), squared_error);
        near(of("loss"), -advantage + 0.25 * squared_error - 0.5 * entropy);
        assert!(advantage.abs() > 1e-3 && of("clip_fraction") == 0.0);
    }
}
