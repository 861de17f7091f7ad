//! Updates of PPO and A2C: what they are worth, what they remember, and what they have in common.

use rand::SeedableRng;
use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, Outcome, Report, UpdateContext};
use rl_env::EnvRng;
use rl_nn::{Shards, States};
use rl_ppo::{A2c, A2cConfig, KlEstimator, NormalizeAdvantage, Ppo, PpoConfig};
use rl_test_support::assert_near;

use crate::helpers::small_batch::collected;

fn update_with(algorithm: &mut dyn Algorithm, agent: &mut ActorCritic, batch: &Batch, seed: u64) -> Report {
    let mut rng = EnvRng::seed_from_u64(seed);
    algorithm.update(agent, batch, &mut UpdateContext::new(&mut rng)).unwrap()
}

fn updated(config: &PpoConfig, batch: &Batch, agent: &ActorCritic) -> (ActorCritic, Report) {
    let mut agent = agent.clone();
    let report = update_with(&mut Ppo::new(config.clone()).unwrap(), &mut agent, batch, 7);
    (agent, report)
}

/// `log π` of both actions in every state of the batch, in f64.
#[allow(clippy::disallowed_methods, reason = "an independent computation")]
fn log_probabilities(agent: &ActorCritic, batch: &Batch) -> Vec<Vec<f64>> {
    let states = States::new(&batch.rollout.observations, 4).unwrap();
    let mut y = vec![0.0; 2 * batch.len()];
    let network = &*agent.policy().network;
    Shards::new().forward(network, agent.policy_theta(), &states, &mut y).unwrap();
    y.chunks_exact(2)
        .map(|y| {
            let y = [f64::from(y[0]), f64::from(y[1])];
            let log_sum = y[0].max(y[1]) + (1.0 + (-(y[0] - y[1]).abs()).exp()).ln();
            vec![y[0] - log_sum, y[1] - log_sum]
        })
        .collect()
}

/// The divergences, the entropy and the gain that an update reports, by their definitions.
#[test]
#[allow(clippy::disallowed_methods, reason = "an independent computation")]
fn the_reported_change_is_that_of_the_policy() {
    let (agent, batch) = collected("CartPole-v1");
    let config =
        PpoConfig { n_epochs: 3, batch_size: 32, learning_rate: 1e-2.into(), ..PpoConfig::default() };
    for normalize_advantage in
        [NormalizeAdvantage::Minibatch, NormalizeAdvantage::Batch, NormalizeAdvantage::Off]
    {
        let config = PpoConfig { normalize_advantage, ..config.clone() };
        let (after, report) = updated(&config, &batch, &agent);
        let (old, new) = (log_probabilities(&agent, &batch), log_probabilities(&after, &batch));
        let n = batch.len() as f64;
        let kl: Vec<f64> = old
            .iter()
            .zip(&new)
            .map(|(p, q)| p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum())
            .collect();
        let entropy = -new.iter().flatten().map(|q| q.exp() * q).sum::<f64>() / n;
        let mut advantages: Vec<f64> = batch.advantages.iter().map(|&a| f64::from(a)).collect();
        if normalize_advantage != NormalizeAdvantage::Off {
            let mean = advantages.iter().sum::<f64>() / n;
            let variance = advantages.iter().map(|a| (a - mean) * (a - mean)).sum::<f64>() / (n - 1.0);
            advantages.iter_mut().for_each(|a| *a = (*a - mean) / (variance.sqrt() + 1e-8));
        }
        let rl_nn::ActionsRef::Discrete(actions) = batch.rollout.actions.as_ref() else { panic!("discrete") };
        let gains =
            (0..batch.len()).map(|b| ((new[b][actions[b]] - old[b][actions[b]]).exp() - 1.0) * advantages[b]);
        let gain = gains.sum::<f64>() / n;
        assert!(gain > 0.01, "the update improves the surrogate");
        let near = |what: &str, got: Option<f64>, expected: f64| {
            assert_near(what, &[got.unwrap()], &[expected], 1e-4);
        };
        near("mean KL", report.approx_kl, kl.iter().sum::<f64>() / n);
        near("largest KL", report.kl_max, kl.iter().copied().fold(0.0, f64::max));
        near("entropy", report.entropy, entropy);
        near("gain", report.surrogate_gain, gain);
    }
}

#[test]
fn normalising_the_batch_is_normalising_its_advantages_beforehand() {
    let (agent, batch) = collected("CartPole-v1");
    let config =
        |normalize_advantage| PpoConfig { batch_size: 32, normalize_advantage, ..PpoConfig::default() };
    let mut normalized = batch.clone();
    rl_gae::normalize(&mut normalized.advantages);
    let (a, _) = updated(&config(NormalizeAdvantage::Batch), &batch, &agent);
    let (b, _) = updated(&config(NormalizeAdvantage::Off), &normalized, &agent);
    let (c, _) = updated(&config(NormalizeAdvantage::Off), &batch, &agent);
    assert_eq!(a.theta(), b.theta());
    assert_ne!(a.theta(), c.theta());
    // A minibatch that is the whole batch has its mean and deviation, up to rounding.
    let whole =
        |normalize_advantage| PpoConfig { batch_size: 100, normalize_advantage, ..PpoConfig::default() };
    let (a, _) = updated(&whole(NormalizeAdvantage::Minibatch), &batch, &agent);
    let (b, _) = updated(&whole(NormalizeAdvantage::Batch), &batch, &agent);
    assert_near(
        "the parameters",
        a.theta(),
        &b.theta().iter().map(|&x| f64::from(x)).collect::<Vec<_>>(),
        1e-5,
    );
}

/// Where the second epoch begins, values and advantages are the critic's after the first.
#[test]
fn advantages_are_estimated_anew_each_epoch() {
    let (agent, batch) = collected("Pendulum-v1");
    let config = PpoConfig { n_epochs: 1, batch_size: 100, max_grad_norm: None, ..PpoConfig::default() };
    // By hand: one epoch, new estimates, a second one with the same generator and optimiser.
    let (mut by_hand, mut rng) = (agent.clone(), EnvRng::seed_from_u64(7));
    let mut ppo = Ppo::new(config.clone()).unwrap();
    ppo.update(&mut by_hand, &batch, &mut UpdateContext::new(&mut rng)).unwrap();
    let mut again = batch.clone();
    let mut shards = Shards::new();
    let critic = by_hand.clone();
    again
        .estimate_again(|obs, values| critic.values(&States::new(obs, 3).unwrap(), values, &mut shards))
        .unwrap();
    assert_ne!(again.advantages, batch.advantages);
    ppo.update(&mut by_hand, &again, &mut UpdateContext::new(&mut rng)).unwrap();

    let recomputing = PpoConfig { n_epochs: 2, recompute_advantage: true, ..config };
    let mut at_once = agent.clone();
    update_with(&mut Ppo::new(recomputing.clone()).unwrap(), &mut at_once, &batch, 7);
    let expected: Vec<f64> = by_hand.theta().iter().map(|&x| f64::from(x)).collect();
    // Each shuffle begins with the last one's order, so rows are summed in another order.
    assert_near("the parameters", at_once.theta(), &expected, 1e-5);
    let (without, _) = updated(&PpoConfig { recompute_advantage: false, ..recomputing }, &batch, &agent);
    assert_ne!(without.theta(), at_once.theta());

    // Rows that are no transitions are left out, and nobody knows any more what followed what.
    let (agent, mut partial) = collected("Pendulum-v1");
    partial.rollout.valid = (0..100).map(|row| row != 50).collect();
    partial.estimate_advantages(&agent, 0.99, 0.95, &mut shards).unwrap();
    assert_eq!(partial.len(), 99);
    let error = partial.estimate_again(|_, _| Ok(())).unwrap_err();
    assert!(matches!(error, AlgoError::Incomplete), "{error}");
}

/// Huang et al. (2022), "A2C is a special case of PPO": one epoch of one minibatch, where every ratio is 1.
#[test]
fn a2c_is_a_special_case_of_ppo() {
    for id in ["CartPole-v1", "Pendulum-v1"] {
        let (agent, batch) = collected(id);
        let ppo = PpoConfig {
            n_epochs: 1,
            batch_size: 100,
            learning_rate: 7e-4.into(),
            ent_coef: 0.01.into(),
            normalize_advantage: NormalizeAdvantage::Off,
            ..PpoConfig::default()
        };
        let a2c = A2cConfig { use_rms_prop: false, ent_coef: 0.01.into(), ..A2cConfig::default() };
        let (by_ppo, _) = updated(&ppo, &batch, &agent);
        let mut by_a2c = agent.clone();
        let report = update_with(&mut A2c::new(a2c).unwrap(), &mut by_a2c, &batch, 0);
        assert_eq!(report.outcome, Outcome::Applied);
        let moved: Vec<f64> = difference(&by_ppo, &agent);
        assert!(moved.iter().any(|x| x.abs() > 6e-4));
        assert_near("the step", &difference(&by_a2c, &agent), &moved, 2e-3);
    }
}

fn difference(a: &ActorCritic, b: &ActorCritic) -> Vec<f64> {
    a.theta().iter().zip(b.theta()).map(|(a, b)| f64::from(a - b)).collect()
}

/// RMSprop's first step is 10 lr g / (|g| + 10 ε), for its first v is g²/100; a parameter without gradient stays.
#[test]
fn a2c_steps_by_rms_prop() {
    let (agent, batch) = collected("Pendulum-v1");
    let mut after = agent.clone();
    let config = A2cConfig { rms_prop_eps: 1e-12, max_grad_norm: None, ..A2cConfig::default() };
    let report = update_with(&mut A2c::new(config).unwrap(), &mut after, &batch, 0);
    assert_eq!(report.outcome, Outcome::Applied);
    let moved = difference(&after, &agent);
    for x in &moved {
        assert!(*x == 0.0 || (x.abs() / 7e-3 - 1.0).abs() < 1e-4, "{x}");
    }
    let still = moved.iter().filter(|x| **x == 0.0).count();
    assert!(20 * still < moved.len(), "{still} of {} parameters stood still", moved.len());
}

/// What an algorithm says of its state is all that it needs to go on.
#[test]
fn every_algorithm_goes_on_from_its_state() {
    let with = |change: fn(&mut PpoConfig)| {
        let mut config = PpoConfig { n_epochs: 2, learning_rate: 1e-2.into(), ..PpoConfig::default() };
        change(&mut config);
        config
    };
    let ppo = |config: PpoConfig| Box::new(Ppo::new(config).unwrap()) as Box<dyn Algorithm>;
    let a2c = |config: A2cConfig| Box::new(A2c::new(config).unwrap()) as Box<dyn Algorithm>;
    let make: Vec<Box<dyn Fn() -> Box<dyn Algorithm>>> = vec![
        Box::new(move || ppo(with(|_| ()))),
        Box::new(move || ppo(with(|c| (c.kl_coef, c.kl_target) = (Some(1.0), Some(1e-6))))),
        Box::new(move || ppo(with(|c| c.desired_kl = Some(1e-6)))),
        Box::new(move || ppo(with(|c| c.weight_decay = 0.1))),
        Box::new(move || a2c(A2cConfig::default())),
        Box::new(move || a2c(A2cConfig { use_rms_prop: false, ..A2cConfig::default() })),
    ];
    let (agent, batch) = collected("CartPole-v1");
    for (i, make) in make.iter().enumerate() {
        let (mut straight, mut resumed) = (agent.clone(), agent.clone());
        let (mut first, mut second) = (make(), make());
        update_with(&mut *first, &mut straight, &batch, 1);
        update_with(&mut *second, &mut resumed, &batch, 1);
        let state = second.state().unwrap().unwrap();
        let mut second = make();
        second.restore(&resumed, &state).unwrap();
        for seed in 2..4 {
            let reports = [
                update_with(&mut *first, &mut straight, &batch, seed),
                update_with(&mut *second, &mut resumed, &batch, seed),
            ];
            assert_eq!(reports[0], reports[1], "algorithm {i}");
            assert_eq!(straight.theta(), resumed.theta(), "algorithm {i}");
        }
    }
}

#[test]
fn the_penalty_and_the_learning_rate_follow_the_divergence() {
    let (agent, batch) = collected("CartPole-v1");
    let reported = |config: &PpoConfig, name: &str| {
        let (_, report) = updated(config, &batch, &agent);
        report.extra.iter().find(|(key, _)| *key == name).map_or(report.learning_rate.unwrap(), |(_, x)| *x)
    };
    let base = PpoConfig { n_epochs: 2, batch_size: 50, learning_rate: 4e-3.into(), ..PpoConfig::default() };
    for (kl_target, beta) in [(1e-9, 4.0), (1e3, 1.0)] {
        let config = PpoConfig { kl_coef: Some(2.0), kl_target: Some(kl_target), ..base.clone() };
        assert_eq!(reported(&config, "kl_coef").to_bits(), f64::to_bits(beta));
    }
    // The first minibatch finds no divergence, and so says nothing.
    for (desired_kl, rate) in [(1e-9, 4e-3 / 1.5 / 1.5 / 1.5), (1e3, 1e-2)] {
        let config = PpoConfig { desired_kl: Some(desired_kl), ..base.clone() };
        let got = reported(&config, "");
        assert!((got / rate - 1.0).abs() < 1e-12, "{got}, not {rate}");
    }
}

/// The first minibatch finds no divergence, the second one that each estimator gives another value: an update stops just below 1.5 times its own, and goes on just
/// above.
#[test]
fn an_update_stops_by_the_estimator_that_is_asked_for() {
    let (agent, batch) = collected("CartPole-v1");
    let update = |learning_rate: f64, kl_estimator, target| {
        let config = PpoConfig {
            n_epochs: 1,
            batch_size: 50,
            learning_rate: learning_rate.into(),
            target_kl: Some(target),
            kl_estimator,
            ..PpoConfig::default()
        };
        updated(&config, &batch, &agent)
    };
    let divergences = |learning_rate: f64| {
        // Stopped before the second minibatch's step.
        let (between, report) = update(learning_rate, KlEstimator::Exact, 1e-9);
        assert_eq!(report.outcome, Outcome::EarlyStopped);
        of_the_second_minibatch(&agent, &between, &batch)
    };
    let differ = |values: &[f64; 3]| {
        let [a, b, c] = *values;
        let apart = |a: f64, b: f64| (a / b - 1.0).abs() > 0.02;
        values.iter().all(|value| *value > 1e-4) && apart(a, b) && apart(b, c) && apart(c, a)
    };
    let rates = [0.03, 0.1, 0.2, 0.3, 0.5, 1.0].map(|rate| (rate, divergences(rate)));
    let (rate, values) =
        *rates.iter().find(|(_, values)| differ(values)).expect("a rate at which they differ");
    for (estimator, value) in [KlEstimator::K1, KlEstimator::K3, KlEstimator::Exact].into_iter().zip(values) {
        let outcome = |factor: f64| update(rate, estimator, factor * value / 1.5).1.outcome;
        assert_eq!(outcome(0.99), Outcome::EarlyStopped, "{estimator:?}: {value}");
        assert_eq!(outcome(1.01), Outcome::Applied, "{estimator:?}: {value}");
    }
}

/// What k1, k3 and the closed form make of a policy on the rows of the second minibatch of 50.
#[allow(clippy::disallowed_methods, reason = "an independent computation")]
fn of_the_second_minibatch(agent: &ActorCritic, between: &ActorCritic, batch: &Batch) -> [f64; 3] {
    let (old, new) = (log_probabilities(agent, batch), log_probabilities(between, batch));
    let (mut minibatches, mut rng) = (rl_rollout::Minibatches::new(batch.len()), EnvRng::seed_from_u64(7));
    let rows = minibatches.epoch(50, &mut rng).nth(1).unwrap();
    let rl_nn::ActionsRef::Discrete(actions) = batch.rollout.actions.as_ref() else { panic!("discrete") };
    let mean = |of: &dyn Fn(usize) -> f64| rows.iter().map(|&row| of(row)).sum::<f64>() / 50.0;
    let log_ratio = |row: usize| new[row][actions[row]] - old[row][actions[row]];
    let exact = |row: usize| -> f64 { old[row].iter().zip(&new[row]).map(|(p, q)| p.exp() * (p - q)).sum() };
    [mean(&|row| -log_ratio(row)), mean(&|row| log_ratio(row).exp() - 1.0 - log_ratio(row)), mean(&exact)]
}

/// Actor and critic on a trunk have one gradient.
#[test]
fn a_trunk_has_one_gradient_to_clip() {
    let spec = rl_env::Registry::builtin().get("CartPole-v1").unwrap().clone();
    let net = rl_algo::NetConfig { net_arch: [16].into(), shared_layers: 1, ..rl_algo::NetConfig::default() };
    let mut rng = EnvRng::seed_from_u64(0);
    let mut agent =
        ActorCritic::for_spaces(&spec.observation_space, &spec.action_space, &net, &mut rng).unwrap();
    let (_, batch) = collected("CartPole-v1");
    let config = PpoConfig { max_grad_norm_each: true, ..PpoConfig::default() };
    let mut ctx = UpdateContext::new(&mut rng);
    let error = Ppo::new(config).unwrap().update(&mut agent, &batch, &mut ctx).unwrap_err().to_string();
    assert!(
        error.starts_with("max_grad_norm_each = true: expected false for an actor and a critic that share"),
        "{error}"
    );
    // Its penalty and its recomputed advantages work all the same.
    let config = PpoConfig { recompute_advantage: true, n_epochs: 2, ..PpoConfig::kl_penalty() };
    let report = Ppo::new(config).unwrap().update(&mut agent, &batch, &mut ctx).unwrap();
    assert_eq!(report.outcome, Outcome::Applied);
}

/// A step along a gradient that is a number leads to what is none: the update is undone, the optimisers' moments as well.
#[test]
fn a_last_step_that_is_not_finite_undoes_the_update() {
    let (agent, batch) = collected("CartPole-v1");
    let config = |learning_rate: f64| PpoConfig {
        n_epochs: 1,
        batch_size: batch.len(),
        learning_rate: learning_rate.into(),
        ..PpoConfig::default()
    };
    let (after, report) = updated(&config(1e39), &batch, &agent);
    assert_eq!(report.outcome, Outcome::NonFinite("a parameter".to_owned()));
    assert_eq!(after.theta(), agent.theta());
    assert_eq!(report.approx_kl, Some(0.0));
}

/// A gradient that is a number may have a square that is none: no parameter shows it, for the step becomes nothing, and every later one would.
#[test]
fn a_moment_that_overflows_undoes_the_update() {
    let (agent, mut batch) = collected("CartPole-v1");
    batch.returns.iter_mut().for_each(|ret| *ret *= 1e24);
    let ppo = PpoConfig { n_epochs: 1, batch_size: batch.len(), max_grad_norm: None, ..PpoConfig::default() };
    let a2c = A2cConfig { max_grad_norm: None, use_rms_prop: false, ..A2cConfig::default() };
    let algorithms: [Box<dyn Algorithm>; 2] =
        [Box::new(Ppo::new(ppo).unwrap()), Box::new(A2c::new(a2c).unwrap())];
    for mut algorithm in algorithms {
        let mut after = agent.clone();
        let report = update_with(&mut *algorithm, &mut after, &batch, 7);
        assert_eq!(report.outcome, Outcome::NonFinite("a moment of the optimiser".to_owned()));
        assert_eq!(after.theta(), agent.theta());
    }
}
