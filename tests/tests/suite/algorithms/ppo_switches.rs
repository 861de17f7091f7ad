//! Each switch of PPO changes what it should and nothing else: one update with it and one without, on the same batch with the same shuffles.
//!
//! The base case clips no gradients, so actor and critic go their ways independently of each other, and its learning rate is large enough for ratios to
//! leave the clip range.

use std::collections::{BTreeMap, BTreeSet};

use crate::helpers::small_batch;
use rand::SeedableRng;
use rl_algo::{Algorithm, Report, UpdateContext};
use rl_env::EnvRng;
use rl_ppo::{KlEstimator, NormalizeAdvantage, Ppo, PpoConfig, VfClip};

/// What an update reported and left, by name.
fn update(config: &PpoConfig) -> BTreeMap<&'static str, Option<u64>> {
    let (mut agent, batch) = small_batch::collected("CartPole-v1");
    let mut rng = EnvRng::seed_from_u64(7);
    let mut ctx = UpdateContext { progress_remaining: 0.5, ..UpdateContext::new(&mut rng) };
    let mut ppo = Ppo::new(config.clone()).unwrap();
    let report = ppo.update(&mut agent, &batch, &mut ctx).unwrap();
    let Report { outcome, extra, .. } = &report;
    let mut told = BTreeMap::from([
        ("outcome", Some(f64::from(u8::from(*outcome == rl_algo::Outcome::Applied)))),
        ("approx_kl", report.approx_kl),
        ("kl_max", report.kl_max),
        ("entropy", report.entropy),
        ("value_loss", report.value_loss),
        ("explained_variance", report.explained_variance),
        ("surrogate_gain", report.surrogate_gain),
        ("grad_norm", report.grad_norm),
        ("learning_rate", report.learning_rate),
        ("actor", Some(sum(agent.policy_theta()))),
        ("critic", Some(sum(agent.critic_theta()))),
    ]);
    told.extend(extra.iter().map(|(name, value)| (*name, Some(*value))));
    told.into_iter().map(|(name, value)| (name, value.map(f64::to_bits))).collect()
}

/// Changes with every parameter.
fn sum(theta: &[f32]) -> f64 {
    theta.iter().enumerate().map(|(i, &x)| f64::from(x) * (1.0 + i as f64)).sum()
}

const ACTOR: &[&str] = &[
    "actor",
    "approx_kl",
    "kl_max",
    "entropy",
    "surrogate_gain",
    "clip_fraction",
    "policy_gradient_loss",
    "loss",
    "grad_norm",
];
const CRITIC: &[&str] = &["critic", "value_loss", "loss", "grad_norm"];

#[test]
fn each_switch_changes_what_it_should_and_nothing_else() {
    let base = PpoConfig {
        n_epochs: 3,
        batch_size: 32,
        learning_rate: 1e-2.into(),
        max_grad_norm: None,
        ..PpoConfig::default()
    };
    let penalised = PpoConfig { kl_coef: Some(2.0), ..base.clone() };
    let clipped_values = PpoConfig { clip_range_vf: Some(0.05.into()), ..base.clone() };
    // Values overshoot their targets, so that both losses differ.
    let overshooting = PpoConfig { learning_rate: 0.1.into(), ..clipped_values.clone() };
    let clipped_gradient = PpoConfig { max_grad_norm: Some(0.1), ..base.clone() };
    let stopping = PpoConfig { target_kl: Some(1e-4), ..base.clone() };
    let both = [ACTOR, CRITIC].concat();
    let with = |more: &[&'static str], names: &[&'static str]| [more, names].concat();
    let b = || base.clone();
    // (switch, without, with, what differs)
    let cases: Vec<(&str, &PpoConfig, PpoConfig, Vec<&str>)> = vec![
        ("nothing", &base, b(), vec![]),
        (
            "clip_range",
            &base,
            PpoConfig { clip_range: Some(0.05.into()), ..b() },
            with(&["clip_range"], ACTOR),
        ),
        ("clip_range none", &base, PpoConfig { clip_range: None, ..b() }, with(&["clip_range"], ACTOR)),
        ("clip_range_high", &base, PpoConfig { clip_range_high: Some(0.02.into()), ..b() }, ACTOR.to_vec()),
        ("dual_clip", &base, PpoConfig { dual_clip: Some(1.01), ..b() }, ACTOR.to_vec()),
        ("kl_coef", &base, penalised.clone(), with(&["kl_coef"], ACTOR)),
        ("kl_target", &penalised, PpoConfig { kl_target: Some(1e-9), ..penalised.clone() }, vec!["kl_coef"]),
        ("clip_range_vf", &base, clipped_values.clone(), CRITIC.to_vec()),
        (
            "vf_clip",
            &overshooting,
            PpoConfig { vf_clip: VfClip::Clipped, ..overshooting.clone() },
            CRITIC.to_vec(),
        ),
        ("ent_coef", &base, PpoConfig { ent_coef: 0.1.into(), ..b() }, ACTOR.to_vec()),
        (
            "ent_coef as a schedule",
            &base,
            PpoConfig { ent_coef: "lin_0.1".parse().unwrap(), ..b() },
            ACTOR.to_vec(),
        ),
        ("vf_coef", &base, PpoConfig { vf_coef: 1e-4, ..b() }, CRITIC.to_vec()),
        ("max_grad_norm", &base, clipped_gradient.clone(), both.clone()),
        (
            "max_grad_norm_each",
            &clipped_gradient,
            PpoConfig { max_grad_norm_each: true, ..clipped_gradient.clone() },
            both.clone(),
        ),
        ("target_kl", &base, stopping.clone(), with(&["outcome", "n_updates"], &both)),
        ("target_kl, never reached", &base, PpoConfig { target_kl: Some(1e4), ..b() }, vec![]),
        (
            "kl_estimator",
            &stopping,
            PpoConfig { kl_estimator: KlEstimator::Exact, ..stopping.clone() },
            vec![],
        ),
        ("desired_kl", &base, PpoConfig { desired_kl: Some(1e-4), ..b() }, with(&["learning_rate"], &both)),
        (
            "normalize_advantage batch",
            &base,
            PpoConfig { normalize_advantage: NormalizeAdvantage::Batch, ..b() },
            ACTOR.to_vec(),
        ),
        (
            "normalize_advantage off",
            &base,
            PpoConfig { normalize_advantage: NormalizeAdvantage::Off, ..b() },
            ACTOR.to_vec(),
        ),
        ("recompute_advantage", &base, PpoConfig { recompute_advantage: true, ..b() }, both.clone()),
        ("adam_beta1", &base, PpoConfig { adam_beta1: 0.5, ..b() }, both.clone()),
        ("adam_beta2", &base, PpoConfig { adam_beta2: 0.9, ..b() }, both.clone()),
        ("adam_eps", &base, PpoConfig { adam_eps: 1e-2, ..b() }, both.clone()),
        ("weight_decay", &base, PpoConfig { weight_decay: 0.1, ..b() }, both.clone()),
        (
            "learning_rate",
            &base,
            PpoConfig { learning_rate: "lin_0.01".parse().unwrap(), ..b() },
            with(&["learning_rate"], &both),
        ),
        ("n_epochs", &base, PpoConfig { n_epochs: 2, ..b() }, with(&["n_updates"], &both)),
    ];
    let mut surprises = Vec::new();
    for (switch, without, with, expected) in cases {
        let (off, on) = (update(without), update(&with));
        let names: BTreeSet<&str> = off.keys().chain(on.keys()).copied().collect();
        let mut differing: BTreeSet<&str> =
            names.into_iter().filter(|name| off.get(name) != on.get(name)).collect();
        let expected: BTreeSet<&str> = expected.into_iter().collect();
        if expected.contains("clip_fraction") {
            // A count, which may come out the same.
            differing.insert("clip_fraction");
        }
        if differing != expected {
            surprises.push(format!("{switch} changes {differing:?}, not {expected:?}"));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}
