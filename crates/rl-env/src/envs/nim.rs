use rand::Rng;

use super::{Phase, row};
use crate::{Env, EnvError, EnvRng, EnvState, Space, Step};

/// Nim with heaps of 3, 4 and 5 stones against a player who moves at random: who takes the last stone wins.
///
/// Observation: `MultiDiscrete([4, 5, 6])`, the stones left in each heap, one-hot. Action: `Discrete(12)`, how many stones to take from
/// which heap.
///
/// | actions | heap | stones |
/// |---|---|---|
/// | 0 to 2 | first | 1 to 3 |
/// | 3 to 6 | second | 1 to 4 |
/// | 7 to 11 | third | 1 to 5 |
///
/// The mask allows no more stones than there are; taking more is an [`EnvError::MaskedAction`]. The other player then takes
/// its turn, every possible move equally likely. Reward: 1 for taking the last stone, −1 when the other player does; the episode
/// terminates there. All other rewards are 0.
///
/// # Source
///
/// Bouton, "Nim, a game with a complete mathematical theory" (1901): to leave heaps whose exclusive or is 0 wins, so the best return, 1, is certain.
/// Two random players win equally often, to within three games in a hundred.
#[derive(Clone, Debug, Default)]
pub struct Nim {
    heaps: [usize; 3],
    phase: Phase,
}

/// The stones in each heap at the start.
pub(crate) const HEAPS: [usize; 3] = [3, 4, 5];

/// How many actions there are, all heaps being full.
const ACTIONS: usize = HEAPS[0] + HEAPS[1] + HEAPS[2];

impl Nim {
    /// A game that needs a reset.
    pub fn new() -> Self {
        Nim::default()
    }

    /// The stones left in each heap.
    pub fn heaps(&self) -> [usize; 3] {
        self.heaps
    }

    fn observe(&self, obs: &mut [f32; ACTIONS + 3]) {
        obs.fill(0.0);
        let mut start = 0;
        for (left, full) in self.heaps.iter().zip(HEAPS) {
            obs[start + left] = 1.0;
            start += full + 1;
        }
    }
}

/// The heap that an action takes from, and how many stones.
fn parse(action: usize) -> Option<(usize, usize)> {
    match action {
        0..3 => Some((0, action + 1)),
        3..7 => Some((1, action - 2)),
        7..12 => Some((2, action - 6)),
        _ => None,
    }
}

/// A move drawn from all those that the heaps, not all of them empty, allow: as many as there are stones.
fn random_move(heaps: [usize; 3], rng: &mut EnvRng) -> (usize, usize) {
    let mut k = rng.random_range(0..heaps.iter().sum());
    for (heap, left) in heaps.into_iter().enumerate() {
        if k < left {
            return (heap, k + 1);
        }
        k -= left;
    }
    unreachable!("there are as many moves as stones")
}

impl Env for Nim {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Space::MultiDiscrete(HEAPS.map(|full| full + 1).to_vec())
    }

    fn action_space(&self) -> Space {
        Space::Discrete(ACTIONS)
    }

    fn reset(&mut self, _rng: &mut EnvRng, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = row(obs)?;
        *self = Nim { heaps: HEAPS, phase: Phase::Running };
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
        let Some((heap, stones)) = parse(action) else {
            return Err(EnvError::invalid_action(action, Space::Discrete(ACTIONS)));
        };
        self.phase.check()?;
        let left = self.heaps[heap];
        if stones > left {
            return Err(EnvError::masked_action(
                action,
                format!("it takes {stones} from heap {}, which has {left}", heap + 1),
            ));
        }
        let obs = row(obs)?;
        self.heaps[heap] -= stones;
        let won = self.heaps == [0; 3];
        if !won {
            let (heap, stones) = random_move(self.heaps, rng);
            self.heaps[heap] -= stones;
        }
        let lost = !won && self.heaps == [0; 3];
        self.observe(obs);
        let reward = f64::from(i8::from(won)) - f64::from(i8::from(lost));
        Ok(Step { reward, end: self.phase.after(won || lost) })
    }

    fn action_mask(&self, mask: &mut [bool]) -> bool {
        for (action, allowed) in mask.iter_mut().enumerate() {
            *allowed = parse(action).is_some_and(|(heap, stones)| stones <= self.heaps[heap]);
        }
        true
    }

    fn save(&self) -> Option<EnvState> {
        let state = self.heaps.iter().fold(EnvState::new("Nim"), |state, &left| state.u64(left as u64));
        Some(self.phase.save(state))
    }

    fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let mut words = state.read("Nim")?;
        let mut heaps = [0; 3];
        for (left, full) in heaps.iter_mut().zip(HEAPS) {
            *left = words.usize_up_to(full)?;
        }
        let phase = Phase::read(&mut words)?;
        words.finish()?;
        *self = Nim { heaps, phase };
        Ok(())
    }

    #[cfg(feature = "render")]
    fn render(&self) -> Option<crate::Frame> {
        crate::render::scenes::nim(self.heaps)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::rng::stream;
    use crate::{Action, DynEnv};

    fn moves(heaps: [usize; 3]) -> Vec<[usize; 3]> {
        let legal = (0..ACTIONS).filter_map(parse).filter(|&(heap, stones)| stones <= heaps[heap]);
        legal
            .map(|(heap, stones)| {
                let mut left = heaps;
                left[heap] -= stones;
                left
            })
            .collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// The value of the heaps to the learner, whose turn it is, when `choose` says what its moves are worth together.
    fn value(heaps: [usize; 3], choose: fn(&[f64]) -> f64, known: &mut BTreeMap<[usize; 3], f64>) -> f64 {
        if let Some(&value) = known.get(&heaps) {
            return value;
        }
        let mut worth = Vec::new();
        for left in moves(heaps) {
            let replies = moves(left);
            worth.push(if replies.is_empty() {
                1.0
            } else {
                let after =
                    |&left: &[usize; 3]| if left == [0; 3] { -1.0 } else { value(left, choose, known) };
                mean(&replies.iter().map(after).collect::<Vec<_>>())
            });
        }
        let value = choose(&worth);
        known.insert(heaps, value);
        value
    }

    #[test]
    fn the_best_player_always_wins_and_a_random_one_every_other_time() {
        let best = value(HEAPS, |worth| worth.iter().copied().fold(-1.0, f64::max), &mut BTreeMap::new());
        assert!((best - 1.0).abs() < 1e-12, "{best}");
        let random = value(HEAPS, mean, &mut BTreeMap::new());
        assert!(random.abs() < 0.06, "{random}");

        let (mut env, mut rng, mut obs) = (Nim::new(), stream(0, "test", 0), [0.0; 15]);
        let mut play = |bouton: bool| {
            let mut total = 0.0;
            for _ in 0..2000 {
                Env::reset(&mut env, &mut rng, &mut obs).unwrap();
                loop {
                    let winning = (0..ACTIONS).find(|&action| {
                        let (heap, stones) = parse(action).unwrap();
                        let mut left = env.heaps;
                        stones <= left[heap] && {
                            left[heap] -= stones;
                            left.iter().fold(0, |xor, left| xor ^ left) == 0
                        }
                    });
                    let random = match env.sample_action(&mut rng).unwrap() {
                        Action::Discrete(a) => a[0],
                        Action::Continuous(_) => unreachable!(),
                    };
                    let action = if bouton { winning.unwrap() } else { random };
                    let step = Env::step(&mut env, &action, &mut rng, &mut obs).unwrap();
                    total += step.reward;
                    if step.end.is_over() {
                        break;
                    }
                }
            }
            total / 2000.0
        };
        assert!(play(true) >= 1.0);
        let simulated = play(false);
        assert!((simulated - random).abs() < 0.08, "{simulated}, not {random}");
    }

    #[test]
    fn more_stones_than_there_are_is_masked_refused_and_changes_nothing() {
        let (mut env, mut rng, mut obs) = (Nim::new(), stream(0, "test", 0), [0.0; 15]);
        Env::reset(&mut env, &mut rng, &mut obs).unwrap();
        Env::step(&mut env, &11, &mut rng, &mut obs).unwrap();
        let mut mask = [true; ACTIONS];
        assert!(Env::action_mask(&env, &mut mask));
        assert_eq!(mask[7..], [false; 5], "the third heap is empty");
        let before = Env::save(&env);
        let error = Env::step(&mut env, &7, &mut rng, &mut obs).unwrap_err();
        assert!(matches!(error, EnvError::MaskedAction { .. }));
        assert_eq!(error.to_string(), "action 7 is masked: it takes 1 from heap 3, which has 0");
        assert_eq!(Env::save(&env), before);
        let outside = Env::step(&mut env, &12, &mut rng, &mut obs).unwrap_err();
        assert!(matches!(outside, EnvError::InvalidAction { .. }));
    }
}
