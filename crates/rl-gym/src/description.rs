//! What a worker says of the environments it holds.

use rl_env::{BoxSpace, Metric, Space};
use serde::Deserialize;

use crate::GymError;

/// What there is to know of an environment before its first step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Description {
    pub(crate) observation_space: Space,
    pub(crate) action_space: Space,
    pub(crate) max_episode_steps: Option<u32>,
    pub(crate) reward_threshold: Option<f64>,
    /// Whether it draws itself as an array.
    pub(crate) draws: bool,
    /// Whether it tells the returns of whole episodes itself.
    pub(crate) statistics: bool,
    /// Whether every step is a step of an episode.
    pub(crate) every_step_counts: bool,
    /// How long a step takes, where that was measured.
    pub(crate) step_seconds: Option<f64>,
    /// What is told of `info` beside rewards, by the environment's name.
    pub(crate) metrics: Vec<Metric>,
}

/// The same as it comes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    observation_space: ToldSpace,
    action_space: ToldSpace,
    max_episode_steps: Option<u32>,
    reward_threshold: Option<f64>,
    draws: bool,
    autoreset: String,
    statistics: bool,
    step_seconds: Option<f64>,
}

#[derive(Deserialize)]
enum ToldSpace {
    Discrete(usize),
    MultiDiscrete(Vec<usize>),
    MultiBinary(usize),
    /// Bounds as text, one for all elements or one each: JSON knows no infinity.
    Box {
        shape: Vec<usize>,
        low: String,
        high: String,
    },
    /// Parts in the order of the row they make, with their names.
    Dict(Vec<(String, ToldSpace)>),
    Tuple(Vec<ToldSpace>),
}

impl Description {
    /// What a worker tells, and the metrics that it was asked for.
    pub(crate) fn read(json: &[u8], metrics: &[Metric]) -> Result<Self, GymError> {
        let told: Told = serde_json::from_slice(json).map_err(|e| GymError::Protocol(e.to_string()))?;
        Ok(Description {
            observation_space: told.observation_space.space()?,
            action_space: told.action_space.space()?,
            max_episode_steps: told.max_episode_steps,
            reward_threshold: told.reward_threshold,
            draws: told.draws,
            statistics: told.statistics,
            every_step_counts: told.autoreset != "next_step",
            step_seconds: told.step_seconds,
            metrics: metrics.to_vec(),
        })
    }
}

impl ToldSpace {
    fn space(self) -> Result<Space, GymError> {
        Ok(match self {
            ToldSpace::Discrete(n) => Space::Discrete(n),
            ToldSpace::MultiDiscrete(ns) => Space::MultiDiscrete(ns),
            ToldSpace::MultiBinary(n) => Space::MultiBinary(n),
            ToldSpace::Box { shape, low, high } => {
                let n = shape.iter().product();
                Space::Box(BoxSpace { low: bounds(&low, n)?, high: bounds(&high, n)?, shape })
            }
            ToldSpace::Dict(parts) => {
                let named = parts.into_iter().map(|(name, part)| Ok((name, part.space()?)));
                Space::Dict(named.collect::<Result<_, GymError>>()?)
            }
            ToldSpace::Tuple(parts) => {
                Space::Tuple(parts.into_iter().map(ToldSpace::space).collect::<Result<_, _>>()?)
            }
        })
    }
}

fn bounds(text: &str, n: usize) -> Result<Vec<f32>, GymError> {
    let numbers: Result<Vec<f32>, _> = text.split_whitespace().map(str::parse).collect();
    match numbers {
        Ok(numbers) if numbers.len() == n => Ok(numbers),
        Ok(numbers) if numbers.len() == 1 => Ok(vec![numbers[0]; n]),
        _ => Err(GymError::Protocol(format!("{text:?} as the bounds of a box of {n}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_may_be_infinite_or_all_the_same() {
        let json = r#"{"Box": {"shape": [2, 1], "low": "-inf", "high": "1.5 inf"}}"#;
        let told: ToldSpace = serde_json::from_str(json).unwrap();
        let inf = f32::INFINITY;
        let expected = BoxSpace { shape: vec![2, 1], low: vec![-inf, -inf], high: vec![1.5, inf] };
        assert_eq!(told.space().unwrap(), Space::Box(expected));
        assert!(bounds("1 2 3", 2).is_err() && bounds("one", 1).is_err());
    }
}
