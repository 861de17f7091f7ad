//! Episodes of a saved policy, to be looked at.

use rl_env::rng::stream;
use rl_env::{ActionRef, EnvSpec, EpisodeMetrics, Frame};
use rl_nn::Actions;
use rl_rollout::Episode;

use crate::{Policy, TrainError};

/// Which episodes [`play`] plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayParams {
    /// The seed of the starts: an evaluation with this seed has the same ones in its first environment.
    pub seed: u64,
    /// How many, at least one.
    pub episodes: usize,
    /// Steps after which an episode is left.
    pub max_steps: u64,
}

/// Plays episodes with the most probable actions, and gives their returns and lengths.
///
/// `show` gets a picture of every state from first to last, and whether it is the last of its episode.
///
/// # Errors
///
/// [`TrainError::NoPicture`] for an environment that draws none, [`TrainError::Env`] and [`TrainError::Nn`] when the environment
/// fails or the policy does not fit it, and whatever `show` gives.
pub fn play(
    policy: &mut Policy,
    env: &EnvSpec,
    params: PlayParams,
    show: &mut dyn FnMut(Frame, bool) -> Result<(), TrainError>,
) -> Result<Vec<Episode>, TrainError> {
    let (mut envs, mut rng) = (env.make(), stream(params.seed, "eval", 0));
    let mut obs = vec![0.0; envs.observation_space().flat_len()];
    let no_picture = || TrainError::NoPicture { env: env.id.clone() };
    let mut mask = vec![true; envs.action_space().mask_len()];
    let mut played = Vec::new();
    for _ in 0..params.episodes.max(1) {
        envs.reset(&mut rng, &mut obs)?;
        show(envs.render().ok_or_else(no_picture)?, false)?;
        let names = envs.metrics();
        let (mut metrics, mut of_step) = (EpisodeMetrics::new(&names, 1), vec![0.0; names.len()]);
        let mut episode = Episode { ret: 0.0, len: 0, metrics: Vec::new() };
        let mut is_over = false;
        while !is_over {
            let allowed = envs.action_mask(&mut mask).then_some(&mask[..]);
            let step = match policy.act_masked(&obs, allowed, true)? {
                Actions::Discrete(a) => envs.step(ActionRef::Discrete(&a), &mut rng, &mut obs)?,
                Actions::Continuous(a) => envs.step(ActionRef::Continuous(&a), &mut rng, &mut obs)?,
            };
            episode.ret += step.reward;
            episode.len += 1;
            if !names.is_empty() {
                of_step.fill(f64::NAN);
                envs.read_metrics(&mut of_step);
                metrics.record(0, &of_step);
            }
            is_over = step.end.is_over() || episode.len >= params.max_steps;
            show(envs.render().ok_or_else(no_picture)?, is_over)?;
        }
        played.push(Episode { metrics: metrics.finish(0), ..episode });
    }
    Ok(played)
}
