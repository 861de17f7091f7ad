//! How good a policy is: whole episodes in environments of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rl_algo::check_setting;
use rl_env::rng::stream;
use rl_env::{EpisodeMetrics, Metric, ObservationNormalizer, VecEnv, check_metrics};
use rl_nn::{ActionsRef, Forward, NnError, Noise, PolicyModel, States, Workspace};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::config::MAX_EVAL_STEPS;
use crate::tally::mean;

/// Environments that an evaluation steps together.
pub(crate) const N_EVAL_ENVS: usize = 20;

/// Whether a policy takes its most probable action or draws a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting {
    /// The most probable action.
    Deterministic,
    /// A sample.
    Stochastic,
}

/// The policy that acts in an evaluation, with its parameters at that moment.
#[derive(Clone, Copy)]
pub struct Actor<'a> {
    /// The policy as a function of θ.
    pub policy: &'a PolicyModel<f32>,
    /// Its parameters.
    pub theta: &'a [f32],
    /// The statistics it sees raw observations through, where it was trained on normalised ones.
    pub normalizer: Option<&'a ObservationNormalizer>,
}

/// How many episodes an evaluation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episodes {
    /// Their number, at least one.
    pub n: usize,
    /// Steps after which one is left and counts as it stands.
    pub max_steps: u64,
}

impl From<usize> for Episodes {
    /// So many, each of at most 100,000 steps.
    fn from(n: usize) -> Self {
        Episodes { n, max_steps: MAX_EVAL_STEPS }
    }
}

/// The result of an evaluation: returns and lengths of whole episodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The number of episodes.
    pub episodes: usize,
    /// Their mean return.
    pub mean: f64,
    /// The standard deviation of their returns, `√(Σ (xᵢ − mean)² / n)`.
    pub std: f64,
    /// The lowest return.
    pub min: f64,
    /// The highest return.
    pub max: f64,
    /// Their mean length in steps.
    pub mean_length: f64,
    /// The environment's metrics ([`Metric`]): the mean over those episodes that have a value, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// How many of the episodes had not ended when they were left, and count as they stood ([`Episodes::max_steps`]).
    #[serde(default, skip_serializing_if = "is_none_of_them")]
    pub left: usize,
}

fn is_none_of_them(n: &usize) -> bool {
    *n == 0
}

/// An episode of an evaluation.
struct Finished {
    ret: f64,
    len: u64,
    has_ended: bool,
    metrics: Vec<f64>,
}

impl Evaluation {
    fn new(episodes: &[Finished], metrics: &[Metric]) -> Self {
        let n = episodes.len() as f64;
        let returns = || episodes.iter().map(|episode| episode.ret);
        // Returns near the largest numbers there are: sums and squares of parts are finite where those of the whole are not.
        let sum = returns().sum::<f64>();
        let average = if sum.is_finite() { sum / n } else { returns().map(|ret| ret / n).sum() };
        let var = returns().map(|ret| (ret - average) * (ret - average)).sum::<f64>() / n;
        let largest = returns().map(|ret| (ret - average).abs()).fold(0.0, f64::max);
        let shares = || returns().map(|ret| (ret - average) / largest);
        let scaled = || shares().map(|share| share * share).sum::<f64>() / n;
        let std = if var.is_finite() { var.sqrt() } else { largest * scaled().sqrt() };
        let of_metric = |(k, metric): (usize, &Metric)| {
            Some((metric.name.clone(), mean(episodes.iter().map(|episode| episode.metrics[k]))?))
        };
        Evaluation {
            episodes: episodes.len(),
            mean: average,
            std,
            min: returns().fold(f64::INFINITY, f64::min),
            max: returns().fold(f64::NEG_INFINITY, f64::max),
            mean_length: episodes.iter().map(|episode| episode.len as f64).sum::<f64>() / n,
            metrics: metrics.iter().enumerate().filter_map(of_metric).collect(),
            left: episodes.iter().filter(|episode| !episode.has_ended).count(),
        }
    }
}

/// Runs whole episodes of a policy.
///
/// How many episodes each environment contributes is fixed beforehand, `⌊(n + i) / N⌋` of environment `i`: taking
/// whichever end first would prefer short ones. The starts are those of the stream `(seed, "eval", i)` whenever it is called,
/// so that evaluations of different policies differ by the policies alone. Returns count the raw rewards; actions that the environment masks are not
/// taken; the actor's statistics stay as they are, as do those of a normaliser over `env`. Sampled noise that lives longer than a step is drawn once, as
/// Stable-Baselines3 does.
///
/// # Errors
///
/// [`TrainError::Config`] for no episodes and for episodes of no steps, [`TrainError::Env`] and [`TrainError::Nn`] when the environment fails or the policy does not fit it,
/// [`TrainError::NonFinitePolicy`] for a policy that is no longer finite, [`TrainError::NoAction`] for a state with every action masked, [`TrainError::Stopped`] when `stop` is set
/// before the last episode ends.
pub fn evaluate(
    actor: Actor<'_>,
    env: &mut dyn VecEnv,
    episodes: Episodes,
    seed: u64,
    acting: Acting,
    stop: &AtomicBool,
) -> Result<Evaluation, TrainError> {
    let Episodes { n: episodes, max_steps } = episodes;
    check_setting("episodes", episodes, "a whole number from 1 up", episodes > 0)?;
    check_setting("max_steps", max_steps, "a whole number from 1 up", max_steps > 0)?;
    env.set_stepping(true);
    let outcome = play(actor, env, Episodes { n: episodes, max_steps }, seed, acting, stop);
    env.set_stepping(false);
    outcome
}

fn play(
    actor: Actor<'_>,
    env: &mut dyn VecEnv,
    episodes: Episodes,
    seed: u64,
    acting: Acting,
    stop: &AtomicBool,
) -> Result<Evaluation, TrainError> {
    let Episodes { n: episodes, max_steps } = episodes;
    let Actor { policy, theta, normalizer } = actor;
    let (n, obs_len) = (env.n_envs(), env.observation_space().flat_len());
    let (net_theta, _) = policy.split(theta)?;
    let mut quota: Vec<usize> = (0..n).map(|i| (episodes + i) / n).collect();
    let mut noise = Noise::kept((0..n).map(|i| stream(seed, "eval_action", i as u64)).collect());
    let mut running = vec![(0.0, 0u64); n];
    let mut finished = Vec::with_capacity(episodes);
    let k = env.metrics().len();
    let mut metrics = EpisodeMetrics::new(env.metrics(), n);
    let mut obs = vec![0.0; n * obs_len];
    let (mut ws, mut y) = (Workspace::default(), vec![0.0; n * policy.network.n_outputs()]);
    let (mut samples, mut log_probs) = (policy.distribution.new_actions(), vec![0.0; n]);
    let mut bounded = Vec::new();

    let mut forward = Forward::new(&*policy.network, net_theta, &mut ws)?;

    env.set_training(false);
    env.reset(seed, "eval")?;
    check_metrics(env)?;
    while quota.iter().any(|&q| q > 0) {
        if stop.load(Ordering::Relaxed) {
            return Err(TrainError::Stopped);
        }
        obs.copy_from_slice(env.observations());
        if let Some(normalizer) = normalizer {
            normalizer.normalize(&mut obs);
        }
        let states = States::new(&obs, obs_len)?.with_masks(env.action_masks())?;
        forward.run(&states, &mut y)?;
        check_finite(&y, n)?;
        policy.mask(&states, &mut y).map_err(|e| match e {
            NnError::NoAction { row } => TrainError::NoAction { env: row },
            e => e.into(),
        })?;
        let params = policy.params(&y, theta)?;
        samples.clear();
        match acting {
            Acting::Deterministic => policy.distribution.mode(params, &mut samples)?,
            Acting::Stochastic => {
                policy.distribution.sample(params, &mut noise, &mut samples, &mut log_probs)?
            }
        }
        env.step(match policy.bounding.apply(samples.as_ref(), &mut bounded) {
            ActionsRef::Discrete(a) => rl_env::ActionsRef::Discrete(a),
            ActionsRef::Continuous(a) => rl_env::ActionsRef::Continuous(a),
        })?;
        for (i, (&reward, end)) in env.raw_rewards().iter().zip(env.ends()).enumerate() {
            if env.valid().is_some_and(|valid| !valid[i]) {
                continue;
            }
            running[i].0 += reward;
            running[i].1 += 1;
            metrics.record(i, &env.metric_values()[i * k..(i + 1) * k]);
            // One that is left goes on as the next one: the vector resets its environments by itself.
            let is_left = running[i].1 >= max_steps;
            let counted = (end.is_over() || is_left).then_some(running[i]);
            let (episode, has_ended) = match env.told_episodes() {
                None => (counted, end.is_over()),
                Some(told) if told[i].1 > 0 => (Some(told[i]), true),
                // One that its environment never tells of is left as well.
                Some(_) => (is_left.then_some(running[i]), false),
            };
            if let Some((ret, len)) = episode {
                let metrics = metrics.finish(i);
                if quota[i] > 0 {
                    quota[i] -= 1;
                    finished.push(Finished { ret, len, has_ended, metrics });
                }
            }
            if end.is_over() && env.told_episodes().is_none() || episode.is_some() || is_left {
                running[i] = (0.0, 0);
            }
        }
    }
    Ok(Evaluation::new(&finished, env.metrics()))
}

/// Refuses what a policy with non-finite parameters gives: the mode of a categorical distribution hides it.
fn check_finite(y: &[f32], n: usize) -> Result<(), TrainError> {
    match y.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(k) => Err(TrainError::NonFinitePolicy { env: k * n / y.len(), output: y[k] }),
    }
}
