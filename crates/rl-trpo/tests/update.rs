//! An update as a whole: that it is its parts, put together by hand here, and that each of its settings does what it says.

#![allow(clippy::unwrap_used, reason = "a failure in a helper is a failed test")]
#![allow(clippy::float_cmp, reason = "the values compared are the same number")]

use rand::SeedableRng;
use rl_algo::{
    ActorCritic, Algorithm, Batch, CriticReport, NetConfig, Outcome, Parts, Reducer, Report, Setup,
    UpdateContext, fit_critic,
};
use rl_env::{EnvRng, Registry};
use rl_nn::{Shards, States};
use rl_optim::{Adam, AdamParams, Schedule};
use rl_rollout::Collector;
use rl_test_support as _;
use rl_trpo::{KlDirection, KlReduction, Npg, PolicyStep, Search, StepConfig, Trpo, TrpoConfig, policy_step};

/// 100 steps of four CartPoles, with the agent that took them.
fn collected() -> (ActorCritic, Batch) {
    let spec = Registry::builtin().get("CartPole-v1").unwrap().clone();
    let mut rng = EnvRng::seed_from_u64(0);
    let net = NetConfig { net_arch: [16].into(), ..NetConfig::default() };
    let agent = ActorCritic::for_spaces(&spec.observation_space, &spec.action_space, &net, &mut rng).unwrap();
    let mut batch = Batch::new(&agent);
    let mut collector = Collector::new(spec.make_vec(4).unwrap(), 0).unwrap();
    collector.collect(agent.policy(), agent.policy_theta(), 25, &mut batch.rollout, &mut Vec::new()).unwrap();
    batch.estimate_advantages(&agent, 0.99, 0.95, &mut Shards::new()).unwrap();
    (agent, batch)
}

fn run(algorithm: &mut dyn Algorithm, batch: &Batch, progress_remaining: f64) -> (ActorCritic, Report) {
    let (mut agent, _) = collected();
    let mut rng = EnvRng::seed_from_u64(7);
    let mut ctx = UpdateContext { progress_remaining, ..UpdateContext::new(&mut rng) };
    let report = algorithm.update(&mut agent, batch, &mut ctx).unwrap();
    (agent, report)
}

fn update(config: TrpoConfig, batch: &Batch) -> (ActorCritic, Report) {
    run(&mut Trpo::new(config).unwrap(), batch, 1.0)
}

/// The same update by hand, with these advantages.
fn by_hand(
    config: &TrpoConfig,
    batch: &Batch,
    advantages: &[f32],
) -> (ActorCritic, PolicyStep, CriticReport) {
    let (mut agent, _) = collected();
    let policy_batch = batch.policy_batch(&agent, advantages).unwrap();
    let Parts { policy, policy_theta, critic, critic_theta, .. } = agent.parts_mut();
    let mut shards = Shards::new();
    let step = policy_step(Reducer, policy, policy_theta, &policy_batch, &config.step(1.0), &mut shards);
    let params = AdamParams { eps: config.adam_eps, ..AdamParams::default() };
    let (mut adam, mut rng) = (Adam::new(critic_theta.len(), params), EnvRng::seed_from_u64(7));
    let states = States::new(policy_batch.observations.obs(), 4).unwrap();
    let (targets, fit) = (batch.critic_targets(), config.critic(1.0));
    let fitted = fit_critic(
        Reducer,
        critic,
        critic_theta,
        states,
        targets,
        &fit,
        &mut adam,
        &mut rng,
        &mut Shards::new(),
    );
    (agent, step.unwrap(), fitted.unwrap())
}

fn config() -> TrpoConfig {
    TrpoConfig { batch_size: Some(32), n_critic_updates: 3, ..TrpoConfig::default() }
}

fn normalized(x: &[f32]) -> Vec<f32> {
    let (n, wide) = (x.len() as f64, || x.iter().map(|&x| f64::from(x)));
    let mean = wide().sum::<f64>() / n;
    let std = (wide().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)).sqrt();
    wide().map(|x| ((x - mean) / (std + 1e-8)) as f32).collect()
}

#[test]
fn an_update_is_a_step_and_a_fit_on_normalised_advantages() {
    let (before, batch) = collected();
    for normalize_advantage in [true, false] {
        let config = TrpoConfig { normalize_advantage, adam_eps: 1e-3, ..config() };
        let (agent, report) = update(config.clone(), &batch);
        let mut used = batch.advantages.clone();
        if normalize_advantage {
            rl_gae::normalize(&mut used);
            let expected = normalized(&batch.advantages);
            assert!(used.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        let (expected, step, fitted) = by_hand(&config, &batch, &used);
        assert_eq!(agent.theta(), expected.theta(), "normalise: {normalize_advantage}");
        assert_ne!(agent.policy_theta(), before.policy_theta());
        assert_ne!(agent.critic_theta(), before.critic_theta());
        let told = [report.approx_kl, report.kl_max, report.entropy, report.surrogate_gain, report.grad_norm];
        assert_eq!(told, [step.kl, step.kl_max, step.entropy, step.improvement, step.grad_norm].map(Some));
        assert_eq!((report.value_loss, report.learning_rate), (Some(fitted.value_loss), Some(1e-3)));
        assert_eq!(report.explained_variance, rl_gae::explained_variance(&batch.values, &batch.returns));
        let extra = |name| report.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let (cg, search) = (step.cg.unwrap(), step.line_search.unwrap());
        assert_eq!(extra("cg_residual"), Some(cg.residual_norm));
        assert_eq!(extra("cg_iters"), Some(cg.iters as f64));
        assert_eq!(extra("backtracks"), Some(search.backtracks as f64));
        assert_eq!((extra("accepted"), extra("critic_rejected")), (Some(1.0), Some(0.0)));
        assert_eq!(extra("step_size"), Some(step.step_size));
        assert_eq!(extra("expected_gain"), Some(step.expected_improvement));
        assert_eq!((extra("max_kl"), extra("constraint_kl"), extra("max_kl_sum")), (Some(0.01), None, None));
    }
}

/// Every algorithm reports the same divergence; the number that the trust region bounds stands beside it where it is another one.
#[test]
fn what_is_bounded_is_told_beside_what_is_reported() {
    let (agent, batch) = collected();
    let dimensions = agent.policy().distribution.action_len() as f64;
    for (kl_direction, kl_reduction) in [
        (KlDirection::OldNew, KlReduction::MeanPerDim),
        (KlDirection::NewOld, KlReduction::Sum),
        (KlDirection::NewOld, KlReduction::MeanPerDim),
    ] {
        let (_, report) = update(TrpoConfig { kl_direction, kl_reduction, ..config() }, &batch);
        let extra = |name| report.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let (kl, constrained) = (report.approx_kl.unwrap(), extra("constraint_kl").unwrap());
        let is_mean = kl_reduction == KlReduction::MeanPerDim;
        let ratio = kl / constrained / if is_mean { dimensions } else { 1.0 };
        match kl_direction {
            KlDirection::OldNew => assert!((ratio - 1.0).abs() < 1e-12, "{ratio}"),
            // The same to second order only.
            KlDirection::NewOld => {
                assert!(ratio.to_bits() != 1_f64.to_bits() && (ratio - 1.0).abs() < 0.5, "{ratio}")
            }
        }
        assert_eq!(extra("max_kl_sum"), is_mean.then_some(0.01 * dimensions));
        assert!(constrained <= 0.01 && report.kl_max.unwrap() >= kl);
    }
}

#[test]
fn normalised_advantages_have_no_scale_and_no_offset() {
    let (_, batch) = collected();
    let mut moved = batch.clone();
    moved.advantages.iter_mut().for_each(|a| *a = 3.0 * *a + 7.0);
    let policy = |config: TrpoConfig, batch: &Batch| update(config, batch).0.policy_theta().to_vec();
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let raw = || TrpoConfig { normalize_advantage: false, ..config() };
    assert!(distance(&policy(config(), &batch), &policy(config(), &moved)) < 1e-3);
    assert!(distance(&policy(raw(), &batch), &policy(raw(), &moved)) > 1e-2);
}

/// Each setting of the critic changes the critic and nothing else, each of the policy the policy and nothing else.
#[test]
fn a_setting_changes_what_it_should_and_nothing_else() {
    let (_, batch) = collected();
    let plain = update(config(), &batch).0;
    let of_critic = [
        TrpoConfig { n_critic_updates: 4, ..config() },
        TrpoConfig { batch_size: Some(33), ..config() },
        TrpoConfig { batch_size: None, ..config() },
        TrpoConfig { clip_range_vf: Some(1e-3.into()), ..config() },
        TrpoConfig { learning_rate: 2e-3.into(), ..config() },
        TrpoConfig { adam_eps: 1e-2, ..config() },
    ];
    for config in of_critic {
        let agent = update(config.clone(), &batch).0;
        assert_eq!(agent.policy_theta(), plain.policy_theta(), "{config:?}");
        assert_ne!(agent.critic_theta(), plain.critic_theta(), "{config:?}");
    }
    let of_policy = [
        TrpoConfig { max_kl: 0.02.into(), ..config() },
        TrpoConfig { ent_coef: 0.1.into(), ..config() },
        TrpoConfig { normalize_advantage: false, ..config() },
        TrpoConfig { advantage_std_floor: Some(10.0), ..config() },
        TrpoConfig { cg_iters: 2, ..config() },
        TrpoConfig { cg_damping: 0.2, ..config() },
        TrpoConfig { cg_atol: Some(1e-1), cg_rtol: None, ..config() },
        TrpoConfig { cg_atol: None, cg_rtol: Some(0.5), ..config() },
        TrpoConfig { fisher_fraction: 0.25, ..config() },
    ];
    for config in of_policy {
        let agent = update(config.clone(), &batch).0;
        assert_ne!(agent.policy_theta(), plain.policy_theta(), "{config:?}");
        assert_eq!(agent.critic_theta(), plain.critic_theta(), "{config:?}");
    }
    // Two actions: the divergence has one dimension.
    let one_dimension = rl_trpo::KlReduction::MeanPerDim;
    assert_eq!(
        update(TrpoConfig { kl_reduction: one_dimension, ..config() }, &batch).0.theta(),
        plain.theta()
    );
}

#[test]
fn schedules_follow_the_progress() {
    let (_, batch) = collected();
    let falling = TrpoConfig {
        max_kl: Schedule::Linear(0.02),
        learning_rate: Schedule::Linear(4e-3),
        ent_coef: Schedule::Linear(0.4),
        clip_range_vf: Some(Schedule::Linear(0.4)),
        ..config()
    };
    let quarter = TrpoConfig {
        max_kl: 0.005.into(),
        learning_rate: 1e-3.into(),
        ent_coef: 0.1.into(),
        clip_range_vf: Some(0.1.into()),
        ..config()
    };
    let (agent, report) = run(&mut Trpo::new(falling.clone()).unwrap(), &batch, 0.25);
    assert_eq!(agent.theta(), update(quarter, &batch).0.theta());
    assert_eq!(report.learning_rate, Some(1e-3));
    // At the end nothing of the radius is left: the step of length 0 is what the schedule asks for, and no refusal.
    let (agent, report) = run(&mut Trpo::new(falling.clone()).unwrap(), &batch, 0.0);
    assert_eq!((report.outcome, report.approx_kl), (Outcome::Applied, Some(0.0)));
    assert!(report.extra.contains(&("max_kl", 0.0)) && report.extra.contains(&("step_size", 0.0)));
    assert_eq!(agent.theta(), collected().0.theta());
    let npg = run(&mut Npg::new(falling).unwrap(), &batch, -0.1).1;
    assert_eq!(npg.outcome, Outcome::Applied);
}

/// Without a line search the step is as long as the radius says: a batch at half of the floor goes half as far.
#[test]
fn the_floor_shortens_the_step_in_proportion() {
    let (_, batch) = collected();
    let share = rl_gae::advantage_share(&batch.advantages, &batch.returns).unwrap();
    let step = |advantage_std_floor: Option<f64>| {
        let config = TrpoConfig { advantage_std_floor, batch_size: Some(32), ..TrpoConfig::default() };
        let (agent, report) = run(&mut Npg::new(config).unwrap(), &batch, 1.0);
        let extra = |name| report.extra.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        (extra("step_size").unwrap(), extra("max_kl"), agent.theta().to_vec())
    };
    let (full, max_kl, theta) = step(None);
    assert_eq!(max_kl, Some(0.01));
    let (half, max_kl, _) = step(Some(2.0 * share));
    assert!((half / full - 0.5).abs() < 1e-6, "{half} {full}");
    assert!((max_kl.unwrap() - 0.0025).abs() < 1e-12);
    // Above the floor nothing changes, not a bit.
    let (same, max_kl, theta_above) = step(Some(0.5 * share));
    assert_eq!((same, max_kl, theta_above), (full, Some(0.01), theta));
}

#[test]
fn a_fit_that_is_not_finite_undoes_the_update() {
    let (before, mut batch) = collected();
    batch.returns[5] = f32::INFINITY;
    let mut trpo = Trpo::new(config()).unwrap();
    let (agent, report) = run(&mut trpo, &batch, 1.0);
    assert_eq!(report.outcome, Outcome::NonFinite("a parameter of the critic".to_owned()));
    assert_eq!(agent.theta(), before.theta());
    assert_eq!((report.approx_kl, report.surrogate_gain), (Some(0.0), Some(0.0)));
    // The policy is the old one, and so is its entropy; what was found on the way to the step that was undone is told.
    let (_, entire) = update(config(), &collected().1);
    let unmoved = TrpoConfig { max_kl: Schedule::Linear(0.01), ..config() };
    let still = run(&mut Trpo::new(unmoved).unwrap(), &collected().1, 0.0).1;
    assert_eq!(report.entropy, still.entropy);
    assert_ne!(report.entropy, entire.entropy);
    let of = |report: &Report, name| report.extra.iter().find(|(key, _)| *key == name).unwrap().1;
    for name in ["cg_residual", "cg_iters", "backtracks"] {
        assert_eq!(of(&report, name), of(&entire, name), "{name}");
    }
    assert!(of(&report, "cg_iters") > 0.0 && of(&report, "expected_gain") >= of(&entire, "expected_gain"));
    assert_eq!((report.kl_max, of(&report, "step_size")), (Some(0.0), 0.0));
    let full = run(&mut Npg::new(config()).unwrap(), &collected().1, 1.0).1;
    assert_eq!(of(&report, "expected_gain"), of(&full, "expected_gain"));
    let other_way = TrpoConfig { kl_direction: KlDirection::NewOld, ..config() };
    assert_eq!(of(&update(other_way, &batch).1, "constraint_kl"), 0.0);
    assert!(report.extra.contains(&("critic_rejected", 1.0)));
    assert!(report.extra.contains(&("accepted", 0.0)));
    // Its next update is that of one which never saw the batch.
    let (_, good) = collected();
    let next = run(&mut trpo, &good, 1.0).0;
    assert_eq!(next.theta(), update(config(), &good).0.theta());
}

#[test]
fn a_policy_step_that_is_not_finite_undoes_the_fit_as_well() {
    let (before, mut batch) = collected();
    batch.advantages[5] = f32::NAN;
    let (agent, report) = update(config(), &batch);
    assert_eq!(report.outcome, Outcome::NonFinite("the policy gradient".to_owned()));
    assert_eq!(agent.theta(), before.theta());
}

/// A run that goes on has the critic's moments.
#[test]
fn the_state_is_the_critics_optimiser() {
    let (_, batch) = collected();
    let makers: [fn() -> Box<dyn Algorithm>; 2] =
        [|| Box::new(Trpo::new(config()).unwrap()), || Box::new(Npg::new(config()).unwrap())];
    for make in makers {
        let mut algorithm = make();
        let empty = algorithm.state().unwrap().unwrap();
        let (agent, _) = run(&mut *algorithm, &batch, 1.0);
        let state = algorithm.state().unwrap().unwrap();
        let restored = |state| {
            let mut restored = make();
            restored.restore(&collected().0, state).unwrap();
            restored
        };
        let second = |mut algorithm: Box<dyn Algorithm>| {
            let mut copy = agent.clone();
            let mut rng = EnvRng::seed_from_u64(8);
            algorithm.update(&mut copy, &batch, &mut UpdateContext::new(&mut rng)).unwrap();
            copy.theta().to_vec()
        };
        let [restored, fresh] = [&state, &empty].map(|state| second(restored(state)));
        let went_on = second(algorithm);
        assert_eq!(went_on, restored);
        assert_ne!(went_on, fresh);
    }
}

/// The natural gradient's step is the full one, however far the policy is from the old one afterwards.
#[test]
fn the_natural_gradient_takes_the_full_step() {
    let (_, batch) = collected();
    let far = TrpoConfig { max_kl: 0.5.into(), accept_ratio: 0.9, ..config() };
    let (searched, searching) = update(far.clone(), &batch);
    let (full, report) = run(&mut Npg::new(far.clone()).unwrap(), &batch, 1.0);
    let of = |report: &Report, name| report.extra.iter().find(|(key, _)| *key == name).unwrap().1;
    assert!(of(&searching, "backtracks") > 0.0 && of(&report, "backtracks") == 0.0);
    assert_ne!(full.policy_theta(), searched.policy_theta());
    assert_eq!(full.critic_theta(), searched.critic_theta());

    let (mut agent, _) = collected();
    let mut advantages = batch.advantages.clone();
    rl_gae::normalize(&mut advantages);
    let policy_batch = batch.policy_batch(&agent, &advantages).unwrap();
    let Parts { policy, policy_theta, .. } = agent.parts_mut();
    let step = StepConfig { search: Search::FullStep, ..far.step(1.0) };
    policy_step(Reducer, policy, policy_theta, &policy_batch, &step, &mut Shards::new()).unwrap();
    assert_eq!(full.policy_theta(), agent.policy_theta());
}

#[test]
fn a_minibatch_fits_into_a_rollout() {
    let check = |batch_size, len| {
        let trpo = Trpo::new(TrpoConfig { batch_size, ..config() }).unwrap();
        trpo.check_setup(&setup(len)).map_err(|e| e.to_string())
    };
    assert_eq!(check(Some(32), 32), Ok(()));
    assert_eq!(check(None, 1), Ok(()));
    assert_eq!(
        check(Some(33), 32).unwrap_err(),
        "batch_size = 33: expected at most n_steps · n_envs = 32, or none"
    );
    let npg = Npg::new(TrpoConfig { batch_size: Some(33), ..TrpoConfig::default() }).unwrap();
    assert!(npg.check_setup(&setup(32)).is_err() && npg.check_setup(&setup(33)).is_ok());
}

fn setup(rollout_len: usize) -> Setup {
    Setup { rollout_len, shares_trunk: false, every_row_counts: true }
}
