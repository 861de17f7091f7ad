use rand::Rng;

use super::{Phase, row};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Space, Step};

/// A crane over a yard of 7 by 7 places is to stop over its load: its bridge runs along x, its trolley along y, both at a time.
///
/// Observation: `Box` of 4 in [−1, 1].
///
/// | element | meaning |
/// |---|---|
/// | 0, 1 | where the crane is, `x / 3 − 1` and `y / 3 − 1` with x and y from 0 to 6 |
/// | 2, 3 | where the load is, likewise |
///
/// Action: `MultiDiscrete([3, 3])`, the bridge's and the trolley's: 0 moves by −1, 1 not at all, 2 by +1; at the edge of the yard the
/// crane stays. Reward: 1 on the step that ends over the load, on which the episode terminates, −0.1 on every other. Crane and load
/// start in two different places, all pairs equally likely.
///
/// The best return is `1 − 0.1 (d − 1)` with `d = max(|Δx|, |Δy|)`: 0.77 on average. A crane that never moves one of its two motors gets
/// to no more than one load in eight.
#[derive(Clone, Debug, Default)]
pub struct Crane {
    at: [usize; 2],
    load: [usize; 2],
    phase: Phase,
}

/// Places along each side of the yard.
pub(crate) const SIDE: usize = 7;

impl Crane {
    /// A crane that needs a reset.
    pub fn new() -> Self {
        Crane::default()
    }

    /// Where the crane is, x and y.
    pub fn position(&self) -> [usize; 2] {
        self.at
    }

    /// Where the load is, x and y.
    pub fn load(&self) -> [usize; 2] {
        self.load
    }

    fn observe(&self, obs: &mut [f32; 4]) {
        let scaled = |place: usize| place as f32 / 3.0 - 1.0;
        *obs = [scaled(self.at[0]), scaled(self.at[1]), scaled(self.load[0]), scaled(self.load[1])];
    }
}

fn place(number: usize) -> [usize; 2] {
    [number % SIDE, number / SIDE]
}

impl Env for Crane {
    type Action = [usize];

    fn observation_space(&self) -> Space {
        BoxSpace::uniform(-1.0, 1.0, &[4]).into()
    }

    fn action_space(&self) -> Space {
        Space::MultiDiscrete(vec![3, 3])
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        let at = rng.random_range(0..SIDE * SIDE);
        // One of the other places: those behind the crane's move up by one.
        let other = rng.random_range(0..SIDE * SIDE - 1);
        let load = other + usize::from(other >= at);
        *self = Crane { at: place(at), load: place(load), phase: Phase::Running };
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, action: &[usize], _rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        let &[bridge @ 0..3, trolley @ 0..3] = action else {
            return Err(EnvError::invalid_action(action, Env::action_space(self)));
        };
        self.phase.check()?;
        let obs = row(obs)?;
        for (at, motor) in self.at.iter_mut().zip([bridge, trolley]) {
            *at = (*at + motor).saturating_sub(1).min(SIDE - 1);
        }
        self.observe(obs);
        let end = self.phase.after(self.at == self.load);
        Ok(Step { reward: if end.is_over() { 1.0 } else { -0.1 }, end })
    }

    fn save(&self) -> Option<EnvState> {
        let words = self.at.iter().chain(&self.load);
        let state = words.fold(EnvState::new("Crane"), |state, &word| state.u64(word as u64));
        Some(self.phase.save(state))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Crane")?;
        let mut place = || -> Result<[usize; 2], EnvError> {
            Ok([words.usize_up_to(SIDE - 1)?, words.usize_up_to(SIDE - 1)?])
        };
        let restored = Crane { at: place()?, load: place()?, phase: Phase::read(&mut words)? };
        words.finish()?;
        *self = restored;
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::crane(self.at, self.load)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeLimit;
    use crate::rng::stream;

    /// Which way to turn a motor.
    fn towards(at: usize, load: usize) -> usize {
        1 + usize::from(load > at) - usize::from(load < at)
    }

    /// The mean return of a rule over many episodes of at most 30 steps.
    fn mean_return(rule: impl Fn(&Crane) -> [usize; 2]) -> f64 {
        const EPISODES: usize = 4000;
        let (mut env, mut rng, mut obs) = (TimeLimit::new(Crane::new(), 30), stream(0, "test", 0), [0.0; 4]);
        let mut total = 0.0;
        for _ in 0..EPISODES {
            Env::reset(&mut env, &mut rng, &mut obs).unwrap();
            loop {
                let action = rule(env.inner());
                let step = Env::step(&mut env, &action, &mut rng, &mut obs).unwrap();
                total += step.reward;
                if step.end.is_over() {
                    break;
                }
            }
        }
        total / EPISODES as f64
    }

    #[test]
    fn both_motors_are_needed() {
        let mut best = 0.0;
        let places = SIDE * SIDE;
        for (at, load) in (0..places).flat_map(|at| (0..places).map(move |load| (place(at), place(load)))) {
            if at != load {
                let d = at[0].abs_diff(load[0]).max(at[1].abs_diff(load[1]));
                best += (1.0 - 0.1 * (d as f64 - 1.0)) / (places * (places - 1)) as f64;
            }
        }
        assert!((best - 0.7714).abs() < 1e-4, "{best}");
        let both = mean_return(|c| [towards(c.at[0], c.load[0]), towards(c.at[1], c.load[1])]);
        assert!((both - best).abs() < 0.02, "{both}, not {best}");
        let bridge_alone = mean_return(|c| [towards(c.at[0], c.load[0]), 1]);
        assert!(bridge_alone < -2.0, "{bridge_alone}");
    }

    #[test]
    fn all_pairs_of_places_come_up() {
        let (mut env, mut rng, mut obs) = (Crane::new(), stream(1, "test", 0), [0.0; 4]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40_000 {
            Env::reset(&mut env, &mut rng, &mut obs).unwrap();
            seen.insert((env.at, env.load));
        }
        assert_eq!(seen.len(), SIDE * SIDE * (SIDE * SIDE - 1));
        assert!(seen.iter().all(|(at, load)| at != load));
    }
}
