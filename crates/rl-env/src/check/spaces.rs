use super::finding::{Findings, Rule};
use crate::DynEnv;
use crate::metric::metrics_fault;

/// Whether the spaces allow the environment to be stepped at all.
pub(super) fn check(make: &dyn Fn() -> Box<dyn DynEnv>, findings: &mut Findings) -> bool {
    let (a, b) = (make(), make());
    let mut sound = true;
    let (observations, actions) = (a.observation_space(), a.action_space());
    let faults = (observations.fault(), actions.action_fault());
    for (what, space, fault, again, copy) in [
        ("observation", observations, faults.0, a.observation_space(), b.observation_space()),
        ("action", actions, faults.1, a.action_space(), b.action_space()),
    ] {
        if let Some(fault) = fault {
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
    let metrics = a.metrics();
    let fault = metrics_fault(&metrics).or_else(|| {
        let is_other = metrics != a.metrics() || metrics != b.metrics();
        is_other.then(|| "the metrics are others when asked again, or of a second copy".to_owned())
    });
    if let Some(fault) = fault {
        findings.add(Rule::Metrics, 0, fault);
        sound = false;
    }
    sound
}
