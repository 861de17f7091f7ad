use rand::Rng;

use super::{Phase, row};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Space, Step};

/// A ball falls down a screen of 10 by 5 pixels, to be caught with a paddle on the bottom row.
///
/// Observation: the image `[1, 10, 5]` (channel, row, column), 1 where the ball or the paddle is, 0 elsewhere. Actions:
/// 0 moves the paddle left, 1 leaves it, 2 moves it right. Reward: 1 for a catch and −1 for a miss, on the last step;
/// terminates when the ball reaches the bottom row, after 9 steps. The ball starts in a random column of the top row,
/// the paddle in the middle.
///
/// # Source
///
/// `Catch` of bsuite (Osband et al. 2020).
#[derive(Clone, Debug, Default)]
pub struct Catch {
    ball: (usize, usize),
    paddle: usize,
    phase: Phase,
}

pub(crate) const ROWS: usize = 10;
pub(crate) const COLUMNS: usize = 5;

impl Catch {
    /// A game that needs a reset.
    pub fn new() -> Self {
        Catch::default()
    }

    /// Row and column of the ball.
    pub fn ball(&self) -> (usize, usize) {
        self.ball
    }

    /// Column of the paddle.
    pub fn paddle(&self) -> usize {
        self.paddle
    }

    fn observe(&self, obs: &mut [f32; ROWS * COLUMNS]) {
        obs.fill(0.0);
        obs[self.ball.0 * COLUMNS + self.ball.1] = 1.0;
        obs[(ROWS - 1) * COLUMNS + self.paddle] = 1.0;
    }
}

impl Env for Catch {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::uniform(0.0, 1.0, &[1, ROWS, COLUMNS]).into()
    }

    fn action_space(&self) -> Space {
        Space::Discrete(3)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        *self = Catch { ball: (0, rng.random_range(0..COLUMNS)), paddle: COLUMNS / 2, phase: Phase::Running };
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, _rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action > 2 {
            return Err(EnvError::invalid_action(action, Space::Discrete(3)));
        }
        self.phase.check()?;
        let obs = row(obs)?;
        self.paddle = (self.paddle + action).saturating_sub(1).min(COLUMNS - 1);
        self.ball.0 += 1;
        self.observe(obs);
        let end = self.phase.after(self.ball.0 == ROWS - 1);
        let reward = match (end.is_over(), self.paddle == self.ball.1) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => -1.0,
        };
        Ok(Step { reward, end })
    }

    fn save(&self) -> Option<EnvState> {
        let (row, column) = self.ball;
        let state = EnvState::new("Catch").u64(row as u64).u64(column as u64).u64(self.paddle as u64);
        Some(self.phase.save(state))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Catch")?;
        let ball = (words.usize_up_to(ROWS - 1)?, words.usize_up_to(COLUMNS - 1)?);
        let restored =
            Catch { ball, paddle: words.usize_up_to(COLUMNS - 1)?, phase: Phase::read(&mut words)? };
        words.finish()?;
        *self = restored;
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::catch(self.ball, self.paddle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    #[test]
    fn following_the_ball_always_catches_it() {
        let (mut env, mut rng, mut obs) = (Catch::new(), stream(0, "test", 0), [0.0; 50]);
        for _ in 0..50 {
            Env::reset(&mut env, &mut rng, &mut obs).unwrap();
            let mut rewards = vec![];
            loop {
                let action =
                    1 + usize::from(env.ball().1 > env.paddle()) - usize::from(env.ball().1 < env.paddle());
                let step = Env::step(&mut env, &action, &mut rng, &mut obs).unwrap();
                rewards.push(step.reward as i32);
                if step.end.is_over() {
                    break;
                }
                assert_eq!(obs.iter().sum::<f32>() as i32, 2);
            }
            assert_eq!(rewards, [0, 0, 0, 0, 0, 0, 0, 0, 1]);
        }
    }
}
