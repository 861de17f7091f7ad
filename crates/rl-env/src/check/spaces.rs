use super::finding::{Findings, Rule};
use crate::{DynEnv, Space};

/// Whether the spaces allow the environment to be stepped at all.
pub(super) fn check(make: &dyn Fn() -> Box<dyn DynEnv>, findings: &mut Findings) -> bool {
    let (a, b) = (make(), make());
    let mut sound = true;
    for (what, space, again, copy) in [
        ("observation", a.observation_space(), a.observation_space(), b.observation_space()),
        ("action", a.action_space(), a.action_space(), b.action_space()),
    ] {
        if let Some(fault) = fault(&space) {
            findings.add(Rule::Spaces, 0, format!("the {what} space {space} {fault}"));
            sound = false;
        }
        if space != again {
            findings.add(
                Rule::Spaces,
                0,
                format!("the {what} space changes from {space} to {again} when asked again"),
            );
            sound = false;
        }
        if space != copy {
            findings.add(
                Rule::Spaces,
                0,
                format!("the {what} space of a second copy is {copy}, not {space}"),
            );
            sound = false;
        }
    }
    sound
}

fn fault(space: &Space) -> Option<String> {
    match space {
        Space::Discrete(0) | Space::MultiBinary(0) => Some("has no elements".into()),
        Space::MultiDiscrete(ns) if ns.is_empty() || ns.contains(&0) => Some("has no elements".into()),
        Space::Box(b) => {
            let n: usize = b.shape.iter().product();
            if n == 0 {
                return Some("has no elements".into());
            }
            if b.low.len() != n || b.high.len() != n {
                return Some(format!(
                    "has {n} elements by its shape, but {} lower and {} upper bounds",
                    b.low.len(),
                    b.high.len()
                ));
            }
            let k = b
                .low
                .iter()
                .zip(&b.high)
                .position(|(low, high)| low.is_nan() || high.is_nan() || low > high)?;
            Some(format!("has element {k} between {} and {}", b.low[k], b.high[k]))
        }
        _ => None,
    }
}
