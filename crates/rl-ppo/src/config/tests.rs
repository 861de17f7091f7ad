use rl_algo::{from_settings, to_settings};

use super::*;

fn constant(x: f64) -> Schedule {
    Schedule::Constant(x)
}

#[test]
fn the_schema_is_that_of_the_struct() {
    assert_eq!(PpoConfig::schema().differs_from(&PpoConfig::default()), None);
    assert_eq!(PpoConfig::kl_penalty_schema().differs_from(&PpoConfig::kl_penalty()), None);
    assert_eq!(PpoConfig::kl_penalty_schema().defaults(), to_settings(&PpoConfig::kl_penalty()));
    PpoConfig::default().validate().unwrap();
    PpoConfig::kl_penalty().validate().unwrap();
}

#[test]
fn what_cannot_be_used_is_refused() {
    let valid = PpoConfig::default;
    let nan = f64::NAN;
    for (key, config) in [
        ("learning_rate", PpoConfig { learning_rate: constant(nan), ..valid() }),
        ("learning_rate", PpoConfig { learning_rate: Schedule::Linear(f64::INFINITY), ..valid() }),
        ("learning_rate", PpoConfig { learning_rate: "lin_1_-1".parse().unwrap(), ..valid() }),
        ("learning_rate", PpoConfig { learning_rate: Schedule::custom(|left| left - 0.5), ..valid() }),
        (
            "learning_rate",
            PpoConfig { learning_rate: Schedule::Linear(1.0), desired_kl: Some(0.1), ..valid() },
        ),
        ("batch_size", PpoConfig { batch_size: 0, ..valid() }),
        ("n_epochs", PpoConfig { n_epochs: 0, ..valid() }),
        ("clip_range", PpoConfig { clip_range: Some(constant(0.0)), ..valid() }),
        ("clip_range", PpoConfig { clip_range: Some("steps_0.2_0.5:0".parse().unwrap()), ..valid() }),
        ("clip_range_high", PpoConfig { clip_range_high: Some(constant(-0.1)), ..valid() }),
        ("clip_range_high", PpoConfig { clip_range: None, clip_range_high: Some(constant(0.1)), ..valid() }),
        ("dual_clip", PpoConfig { dual_clip: Some(1.0), ..valid() }),
        ("dual_clip", PpoConfig { dual_clip: Some(nan), ..valid() }),
        ("dual_clip", PpoConfig { dual_clip: Some(3.0), clip_range: None, ..valid() }),
        ("kl_coef", PpoConfig { kl_coef: Some(-1.0), ..valid() }),
        ("kl_coef", PpoConfig { kl_coef: Some(nan), ..valid() }),
        ("kl_target", PpoConfig { kl_target: Some(0.01), ..valid() }),
        ("kl_target", PpoConfig { kl_target: Some(0.0), ..PpoConfig::kl_penalty() }),
        ("clip_range_vf", PpoConfig { clip_range_vf: Some(constant(nan)), ..valid() }),
        ("clip_range_vf", PpoConfig { clip_range_vf: Some(constant(-1.0)), ..valid() }),
        ("ent_coef", PpoConfig { ent_coef: constant(-0.1), ..valid() }),
        ("vf_coef", PpoConfig { vf_coef: nan, ..valid() }),
        ("max_grad_norm", PpoConfig { max_grad_norm: Some(0.0), ..valid() }),
        ("max_grad_norm", PpoConfig { max_grad_norm: Some(nan), ..valid() }),
        ("target_kl", PpoConfig { target_kl: Some(nan), ..valid() }),
        ("target_kl", PpoConfig { target_kl: Some(0.0), ..valid() }),
        ("desired_kl", PpoConfig { desired_kl: Some(-0.1), ..valid() }),
        ("adam_beta1", PpoConfig { adam_beta1: 1.0, ..valid() }),
        ("adam_beta2", PpoConfig { adam_beta2: -0.1, ..valid() }),
        ("adam_eps", PpoConfig { adam_eps: nan, ..valid() }),
        ("adam_eps", PpoConfig { adam_eps: 0.0, ..valid() }),
        // What would do nothing.
        ("max_grad_norm_each", PpoConfig { max_grad_norm_each: true, max_grad_norm: None, ..valid() }),
        ("vf_clip", PpoConfig { vf_clip: VfClip::Clipped, ..valid() }),
        ("kl_estimator", PpoConfig { kl_estimator: KlEstimator::K1, ..valid() }),
        ("kl_estimator", PpoConfig { kl_estimator: KlEstimator::Exact, ..valid() }),
        ("recompute_advantage", PpoConfig { recompute_advantage: true, n_epochs: 1, ..valid() }),
        ("weight_decay", PpoConfig { weight_decay: -1.0, ..valid() }),
    ] {
        assert_eq!(config.validate().unwrap_err().key, key, "{config:?}");
    }
    let free = PpoConfig {
        target_kl: Some(0.02),
        clip_range: None,
        max_grad_norm: None,
        learning_rate: Schedule::custom(|left| left * left),
        ent_coef: "steps_0.01_0.5:0".parse().unwrap(),
        ..valid()
    };
    free.validate().unwrap();
}

#[test]
fn what_does_not_fit_the_agent_or_its_rollouts_is_refused() {
    let fitting = Setup { rollout_len: 64, shares_trunk: true, every_row_counts: false };
    let check = |config: PpoConfig, setup| config.check_setup(&setup).map_err(|e| e.key);
    let each = || PpoConfig { max_grad_norm_each: true, ..PpoConfig::default() };
    let again = || PpoConfig { recompute_advantage: true, ..PpoConfig::default() };
    assert_eq!(check(PpoConfig::default(), fitting), Ok(()));
    assert_eq!(check(PpoConfig::default(), Setup { rollout_len: 63, ..fitting }), Err("batch_size".into()));
    assert_eq!(check(each(), fitting), Err("max_grad_norm_each".into()));
    assert_eq!(check(each(), Setup { shares_trunk: false, ..fitting }), Ok(()));
    assert_eq!(check(again(), fitting), Err("recompute_advantage".into()));
    assert_eq!(check(again(), Setup { every_row_counts: true, ..fitting }), Ok(()));
}

#[test]
fn old_files_are_read() {
    let mut settings = to_settings(&PpoConfig::default());
    assert_eq!(settings["normalize_advantage"], true);
    for (written, read) in [
        (serde_json::Value::from(true), NormalizeAdvantage::Minibatch),
        (false.into(), NormalizeAdvantage::Off),
        ("batch".into(), NormalizeAdvantage::Batch),
    ] {
        settings["normalize_advantage"] = written.clone();
        let config: PpoConfig = from_settings(&settings).unwrap();
        assert_eq!(config.normalize_advantage, read);
        assert_eq!(to_settings(&config)["normalize_advantage"], written);
    }
}

#[test]
#[allow(clippy::float_cmp, reason = "the values compared are exact")]
fn schedules_reach_the_loss() {
    let config = PpoConfig {
        clip_range: Some(Schedule::Linear(0.5)),
        clip_range_high: Some("lin_1_2".parse().unwrap()),
        clip_range_vf: Some(Schedule::Linear(4.0)),
        vf_clip: VfClip::Clipped,
        ent_coef: Schedule::Linear(0.25),
        dual_clip: Some(3.0),
        ..PpoConfig::default()
    };
    let loss = config.loss(0.5);
    assert_eq!(loss.objective, Objective::Clipped(Clip { low: 0.25, high: 1.5, dual: Some(3.0) }));
    assert_eq!((loss.value_clip, loss.ent_coef), (Some(ValueClip::Clipped(2.0)), 0.125));
    assert_eq!(PpoConfig::kl_penalty().loss(1.0).objective, Objective::Ratio);
    assert_eq!(PpoConfig::kl_penalty().loss(1.0).kl_coef, 1.0);
}
