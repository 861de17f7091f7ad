use rand::Rng;

use super::{Phase, row};
use crate::{BoxSpace, Env, EnvError, EnvRng, EnvState, Metric, Space, Step};

/// A boat in a square harbour is to enter the dock that it is told, one of four, and none of the others.
///
/// Observation: `Dict`, six numbers in all.
///
/// | part | space | meaning |
/// |---|---|---|
/// | `position` | `Box` of 2 in [−1, 1] | where the boat is, x to the right and y upwards |
/// | `dock` | `Discrete(4)`, one-hot | where to go: 0 the left dock at (−1, 0), 1 the lower at (0, −1), 2 the right at (1, 0), 3 the upper at (0, 1) |
///
/// Actions: 0 left, 1 down, 2 right, 3 up, by 0.2; at the edge of the harbour the boat stays. It is in a dock when it is at most 0.3 away
/// from it. Reward: 1 for entering the right dock and −1 for another, on which the episode terminates; −0.02 for every other step. The boat
/// starts anywhere between −0.5 and 0.5, in x and in y.
///
/// The best return is about 0.93 on average. Who does not look where to go enters the right dock one time in four, which gives about −0.6.
#[derive(Clone, Debug, Default)]
pub struct Harbour {
    position: [f64; 2],
    dock: usize,
    phase: Phase,
}

/// Where the docks are.
pub(crate) const DOCKS: [[f64; 2]; 4] = [[-1.0, 0.0], [0.0, -1.0], [1.0, 0.0], [0.0, 1.0]];

/// How near is in.
pub(crate) const REACH: f64 = 0.3;

const STRIDE: f64 = 0.2;

impl Harbour {
    /// A boat that needs a reset.
    pub fn new() -> Self {
        Harbour::default()
    }

    /// Where the boat is, x and y.
    pub fn position(&self) -> [f64; 2] {
        self.position
    }

    /// The dock to go to.
    pub fn dock(&self) -> usize {
        self.dock
    }

    fn observe(&self, obs: &mut [f32; 6]) {
        *obs = [self.position[0] as f32, self.position[1] as f32, 0.0, 0.0, 0.0, 0.0];
        obs[2 + self.dock] = 1.0;
    }

    /// The dock that the boat is in.
    fn entered(&self) -> Option<usize> {
        let [x, y] = self.position;
        DOCKS.iter().position(|dock| {
            let (dx, dy) = (x - dock[0], y - dock[1]);
            dx * dx + dy * dy <= REACH * REACH
        })
    }
}

impl Env for Harbour {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Space::dict([
            ("position", BoxSpace::uniform(-1.0, 1.0, &[2]).into()),
            ("dock", Space::Discrete(DOCKS.len())),
        ])
    }

    fn action_space(&self) -> Space {
        Space::Discrete(4)
    }

    fn reset(&mut self, rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        let position = [rng.random_range(-0.5..0.5), rng.random_range(-0.5..0.5)];
        *self = Harbour { position, dock: rng.random_range(0..DOCKS.len()), phase: Phase::Running };
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, _rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        let (axis, stride) = match action {
            0 => (0, -STRIDE),
            1 => (1, -STRIDE),
            2 => (0, STRIDE),
            3 => (1, STRIDE),
            other => return Err(EnvError::invalid_action(other, Space::Discrete(4))),
        };
        self.phase.check()?;
        let obs = row(obs)?;
        self.position[axis] = (self.position[axis] + stride).clamp(-1.0, 1.0);
        self.observe(obs);
        let entered = self.entered();
        let reward = match entered {
            None => -0.02,
            Some(dock) if dock == self.dock => 1.0,
            Some(_) => -1.0,
        };
        Ok(Step { reward, end: self.phase.after(entered.is_some()) })
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric::last("success"), Metric::mean("distance")]
    }

    fn read_metrics(&self, values: &mut [f64]) {
        let [x, y] = [0, 1].map(|axis| self.position[axis] - DOCKS[self.dock][axis]);
        values[0] = if self.entered() == Some(self.dock) { 1.0 } else { 0.0 };
        values[1] = (x * x + y * y).sqrt();
    }

    fn save(&self) -> Option<EnvState> {
        Some(self.phase.save(EnvState::new("Harbour").f64s(&self.position).u64(self.dock as u64)))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Harbour")?;
        let (position, dock) = (words.f64s()?, words.usize_up_to(DOCKS.len() - 1)?);
        let phase = Phase::read(&mut words)?;
        words.finish()?;
        *self = Harbour { position, dock, phase };
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::harbour(self.position, self.dock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeLimit;
    use crate::rng::stream;

    /// The mean return of a rule over many episodes of at most 50 steps.
    fn mean_return(rule: impl Fn(&[f32; 6]) -> usize) -> f64 {
        const EPISODES: usize = 4000;
        let (mut env, mut rng, mut obs) =
            (TimeLimit::new(Harbour::new(), 50), stream(0, "test", 0), [0.0; 6]);
        let mut total = 0.0;
        for _ in 0..EPISODES {
            Env::reset(&mut env, &mut rng, &mut obs).unwrap();
            loop {
                let step = Env::step(&mut env, &rule(&obs), &mut rng, &mut obs).unwrap();
                total += step.reward;
                if step.end.is_over() {
                    break;
                }
            }
        }
        total / EPISODES as f64
    }

    fn told(obs: &[f32; 6]) -> usize {
        (0..4).find(|dock| obs[2 + dock] > 0.5).unwrap()
    }

    /// The way to a dock: first to its side, then straight in.
    fn towards(dock: usize, obs: &[f32; 6]) -> usize {
        let across = 1 - dock % 2;
        if obs[across].abs() > 0.28 { across + if obs[across] > 0.0 { 0 } else { 2 } } else { dock }
    }

    #[test]
    fn both_parts_of_the_observation_are_needed() {
        let seeing = mean_return(|obs| towards(told(obs), obs));
        assert!((seeing - 0.92).abs() < 0.02, "{seeing}");
        let without_the_order = mean_return(|obs| towards(2, obs));
        assert!((without_the_order + 0.57).abs() < 0.08, "{without_the_order}");
        let without_the_position = mean_return(told);
        assert!(without_the_position < 0.4, "{without_the_position}");
    }

    #[test]
    fn the_observation_is_of_named_parts() {
        let space = Env::observation_space(&Harbour::new());
        assert_eq!(space.to_string(), "Dict(position: Box(-1, 1, [2]), dock: Discrete(4))");
        let (mut env, mut rng, mut obs) = (Harbour::new(), stream(2, "test", 0), [0.0; 6]);
        Env::reset(&mut env, &mut rng, &mut obs).unwrap();
        assert!(space.contains_flat(&obs));
        let dock = space.part("dock").unwrap();
        let hot = obs[dock.range].iter().position(|x| *x > 0.5);
        assert_eq!(hot, Some(env.dock()));
    }
}
