use rand::Rng;

use super::{Phase, row};
use crate::{Env, EnvError, EnvRng, EnvState, Space, Step, StepEnd};

/// Five lamps with a switch each are to show the pattern that is asked for, another one every round.
///
/// Observation: `MultiBinary(10)`: the pattern asked for, then which lamps are lit. Action: `MultiBinary(5)`: which switches to press; each
/// turns its lamp on or off. Reward: `2 c / 5 − 1` with `c` the lamps that then are as asked for, so 1 for all of them and 0 on average
/// for pressing at random. Then the next pattern is drawn, all 32 equally likely, and the lamps stay as they are; it never terminates.
///
/// The best return of 10 rounds, the time limit of `Lights-v0`, is 10. Who leaves one switch alone gets 8 at most, on average.
#[derive(Clone, Debug, Default)]
pub struct Lights {
    wanted: usize,
    lit: usize,
    phase: Phase,
}

/// How many lamps.
pub(crate) const LAMPS: usize = 5;

impl Lights {
    /// Lamps that need a reset.
    pub fn new() -> Self {
        Lights::default()
    }

    /// The pattern asked for.
    pub fn wanted(&self) -> [bool; LAMPS] {
        bits(self.wanted)
    }

    /// Which lamps are lit.
    pub fn lit(&self) -> [bool; LAMPS] {
        bits(self.lit)
    }

    fn observe(&self, obs: &mut [f32; 2 * LAMPS]) {
        let shown = bits(self.wanted).into_iter().chain(bits(self.lit));
        obs.iter_mut().zip(shown).for_each(|(x, bit)| *x = f32::from(u8::from(bit)));
    }
}

fn bits(pattern: usize) -> [bool; LAMPS] {
    std::array::from_fn(|k| pattern >> k & 1 == 1)
}

impl Env for Lights {
    type Action = [usize];

    fn observation_space(&self) -> Space {
        Space::MultiBinary(2 * LAMPS)
    }

    fn action_space(&self) -> Space {
        Space::MultiBinary(LAMPS)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        let mut pattern = || rng.random_range(0..1 << LAMPS);
        *self = Lights { wanted: pattern(), lit: pattern(), phase: Phase::Running };
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, action: &[usize], rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        if action.len() != LAMPS || action.iter().any(|&bit| bit > 1) {
            return Err(EnvError::invalid_action(action, Space::MultiBinary(LAMPS)));
        }
        self.phase.check()?;
        let obs = row(obs)?;
        let pressed = action.iter().enumerate().fold(0, |pressed, (k, bit)| pressed | bit << k);
        self.lit ^= pressed;
        let right = LAMPS as u32 - (self.lit ^ self.wanted).count_ones();
        self.wanted = rng.random_range(0..1 << LAMPS);
        self.observe(obs);
        Ok(Step { reward: f64::from(2 * right) / LAMPS as f64 - 1.0, end: StepEnd::Continues })
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("Lights").u64(self.wanted as u64).u64(self.lit as u64)))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Lights")?;
        let mut pattern = || words.usize_up_to((1 << LAMPS) - 1);
        let restored = Lights { wanted: pattern()?, lit: pattern()?, phase: Phase::read(&mut words)? };
        words.finish()?;
        *self = restored;
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::lights(self.wanted(), self.lit())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by intent")]
mod tests {
    use super::*;
    use crate::rng::stream;

    /// The mean reward of a rule.
    fn mean_reward(rule: impl Fn(&[f32; 10]) -> [usize; 5]) -> f64 {
        const ROUNDS: usize = 20_000;
        let (mut env, mut rng, mut obs) = (Lights::new(), stream(0, "test", 0), [0.0; 10]);
        Env::reset(&mut env, &mut rng, &mut obs).unwrap();
        let mut round = |_| Env::step(&mut env, &rule(&obs), &mut rng, &mut obs).unwrap().reward;
        (0..ROUNDS).map(&mut round).sum::<f64>() / ROUNDS as f64
    }

    #[test]
    fn every_switch_counts() {
        let right = |obs: &[f32; 10]| std::array::from_fn(|k| usize::from(obs[k] != obs[5 + k]));
        assert_eq!(mean_reward(right), 1.0);
        for idle in 0..LAMPS {
            let mean = mean_reward(|obs| {
                let mut pressed = right(obs);
                pressed[idle] = 0;
                pressed
            });
            assert!((mean - 0.8).abs() < 0.01, "without switch {idle}: {mean}");
        }
        // Neither the pattern nor the lamps alone tell what to do.
        for part in [0, 5] {
            let mean = mean_reward(|obs| std::array::from_fn(|k| obs[part + k] as usize));
            assert!(mean.abs() < 0.02, "{mean}");
        }
    }
}
