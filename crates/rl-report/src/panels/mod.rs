//! The panels of a report: from the runs of one environment to charts.

mod finals;
mod learning;
mod trust;

use rand::Rng;

use crate::chart::Chart;
use crate::study::{Study, Task};

/// The part of a page that a chart belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Learning curves, by the deterministic evaluations.
    Evaluation,
    /// Learning curves, by the episodes of training.
    Training,
    /// What came out.
    Final,
    /// What updates did to the policy.
    Trust,
    /// Where the time went.
    Time,
}

/// Every chart of an environment, with the section it belongs to.
pub(crate) fn charts(study: &Study, task: &Task, rng: &mut impl Rng) -> Vec<(Section, Chart)> {
    let names = study.names();
    let number = |name: &str| names.iter().position(|other| *other == name).unwrap_or(0);
    let mut charts = learning::charts(task, &number, rng);
    charts.extend(finals::charts(task, &number, rng).into_iter().map(|chart| (Section::Final, chart)));
    charts.extend(trust::charts(task, &number).into_iter().map(|chart| (Section::Trust, chart)));
    charts.extend(finals::seconds(task, &number).map(|chart| (Section::Time, chart)));
    let prefix = slug(&task.env);
    charts.iter_mut().for_each(|(_, chart)| chart.id = format!("{prefix}-{}", chart.id));
    charts
}

/// A name of letters, digits and dashes.
pub(crate) fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect()
}
