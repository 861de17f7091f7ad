//! Films of the policies that a run evaluates.

use rl_algo::ActorCritic;
use rl_env::{EnvSpec, ObservationNormalizer};

use crate::{Film, Gif, PlayParams, Policy, TrainError, play};

/// Pictures a second.
const FPS: u16 = 30;
/// Steps after which an episode is left: a film that is too long to be looked at is too large as well.
const MOST_STEPS: u64 = 500;

/// Whether an environment draws itself, as [`Trainer::with_films`](crate::Trainer::with_films) needs: starts one and asks for a first picture.
///
/// # Errors
///
/// [`TrainError::NoPicture`] for an environment that draws none, [`TrainError::Env`] when it does not start.
pub fn check_films(env: &EnvSpec, seed: u64) -> Result<(), TrainError> {
    let mut one = env.make();
    let mut obs = vec![0.0; one.observation_space().flat_len()];
    one.reset(&mut rl_env::rng::stream(seed, "eval", 0), &mut obs)?;
    let drawn = one.render().ok_or_else(|| TrainError::NoPicture { env: env.id.clone() })?;
    crate::png(&drawn).map(drop)
}

/// An environment that draws itself.
pub(crate) struct Films {
    env: EnvSpec,
    seed: u64,
}

impl Films {
    /// Asks for a first picture.
    ///
    /// # Errors
    ///
    /// Those of [`check_films`].
    pub(crate) fn new(env: &EnvSpec, seed: u64) -> Result<Self, TrainError> {
        check_films(env, seed)?;
        Ok(Films { env: env.clone(), seed })
    }

    /// An episode of the agent's most probable actions, from the start of the first environment of its evaluations.
    ///
    /// # Errors
    ///
    /// [`TrainError::Unsaveable`] for a policy without a description, those of [`play`] and of [`Gif`].
    pub(crate) fn film(
        &self,
        agent: &ActorCritic,
        normalizer: Option<&ObservationNormalizer>,
    ) -> Result<Film, TrainError> {
        let trained = agent.trained_policy().ok_or(TrainError::Unsaveable)?;
        let policy = Policy::new(&self.env.id, self.seed, 0, trained);
        let mut policy = policy.seeing_through(normalizer.cloned())?;
        let (mut gif, mut size) = (Gif::new(FPS), (0, 0));
        let params = PlayParams { seed: self.seed, episodes: 1, max_steps: MOST_STEPS };
        play(&mut policy, &self.env, params, &mut |frame, is_last| {
            size = (frame.width, frame.height);
            gif.push(frame, is_last)
        })?;
        Ok(Film { width: size.0, height: size.1, gif: gif.finish()? })
    }
}
