//! Spaces in saved descriptions: JSON knows no infinite bounds, and images have the same bounds everywhere.

use rl_env::{BoxSpace, Space};
use serde_json::{Map, Value, json};

/// The most elements that a space in a file may have: 64 MiB of bounds.
const MAX_ELEMENTS: usize = 1 << 24;

/// A space as JSON: the bounds of a box are one where all are the same, and infinite ones are text.
pub(crate) fn written(space: &Space) -> Value {
    match space {
        Space::Discrete(n) => json!({"discrete": n}),
        Space::MultiDiscrete(ns) => json!({"multi_discrete": ns}),
        Space::MultiBinary(n) => json!({"multi_binary": n}),
        Space::Box(BoxSpace { shape, low, high }) => {
            json!({"box": {"shape": shape, "low": bounds(low), "high": bounds(high)}})
        }
        Space::Dict(parts) => {
            let parts: Vec<Value> = parts.iter().map(|(name, part)| json!([name, written(part)])).collect();
            json!({"dict": parts})
        }
        Space::Tuple(parts) => json!({"tuple": parts.iter().map(written).collect::<Vec<_>>()}),
    }
}

/// The space that [`written`] wrote; `None` for anything else, as it may stand in anybody's file.
pub(crate) fn read(value: &Value) -> Option<Space> {
    let (kind, value) = only(value.as_object()?)?;
    let list = || value.as_array().map(Vec::as_slice);
    Some(match kind {
        "discrete" => Space::Discrete(size(value)?),
        "multi_discrete" => Space::MultiDiscrete(list()?.iter().map(size).collect::<Option<_>>()?),
        "multi_binary" => Space::MultiBinary(size(value)?),
        "box" => {
            let shape: Vec<usize> = value["shape"].as_array()?.iter().map(size).collect::<Option<_>>()?;
            let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|n| *n <= MAX_ELEMENTS)?;
            let (low, high) = (read_bounds(&value["low"], n)?, read_bounds(&value["high"], n)?);
            Space::Box(BoxSpace { shape, low, high })
        }
        "dict" => {
            let part = |part: &Value| {
                let [name, part] = part.as_array()?.as_slice() else { return None };
                Some((name.as_str()?.to_owned(), read(part)?))
            };
            Space::Dict(list()?.iter().map(part).collect::<Option<_>>()?)
        }
        "tuple" => Space::Tuple(list()?.iter().map(read).collect::<Option<_>>()?),
        _ => return None,
    })
}

fn only(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (key, value) = map.iter().next().filter(|_| map.len() == 1)?;
    Some((key, value))
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MAX_ELEMENTS)
}

fn bounds(all: &[f32]) -> Value {
    let bound = |x: &f32| if x.is_finite() { json!(x) } else { json!(x.to_string()) };
    match all {
        [first, rest @ ..] if rest.iter().all(|x| x.to_bits() == first.to_bits()) => bound(first),
        all => all.iter().map(bound).collect(),
    }
}

fn read_bounds(value: &Value, n: usize) -> Option<Vec<f32>> {
    let bound = |value: &Value| match value {
        Value::String(text) => text.parse::<f32>().ok(),
        value => value.as_f64().map(|x| x as f32),
    };
    match value {
        Value::Array(all) => all.iter().map(bound).collect::<Option<Vec<f32>>>().filter(|all| all.len() == n),
        one => Some(vec![bound(one)?; n]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_come_back() {
        let inf = f32::INFINITY;
        let mixed = BoxSpace { shape: vec![3], low: vec![-4.8, -inf, -0.1], high: vec![4.8, inf, 0.1] };
        let image = BoxSpace::uniform(0.0, 255.0, &[4, 84, 84]);
        let parts = vec![("image".to_owned(), image.clone().into()), ("goal".to_owned(), Space::Discrete(3))];
        for space in [
            Space::Discrete(2),
            Space::MultiDiscrete(vec![2, 3]),
            Space::MultiBinary(5),
            mixed.into(),
            Space::Dict(parts),
            Space::Tuple(vec![BoxSpace::uniform(-inf, inf, &[2]).into()]),
        ] {
            assert_eq!(read(&written(&space)), Some(space));
        }
        // However large an image, its description is not.
        assert!(written(&image.into()).to_string().len() < 80);
    }

    #[test]
    fn other_values_are_no_spaces() {
        for value in [
            json!(null),
            json!({}),
            json!({"discrete": -1}),
            json!({"discrete": 1, "multi_binary": 1}),
            json!({"box": {"shape": [u64::MAX, 2], "low": 0, "high": 1}}),
            json!({"box": {"shape": [1 << 20, 1 << 20], "low": 0, "high": 1}}),
            json!({"box": {"shape": [2], "low": [0], "high": 1}}),
            json!({"box": {"shape": [1], "low": "low", "high": 1}}),
            json!({"dict": [["a"]]}),
            json!({"tuple": [{"cube": 3}]}),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
