//! Reports of runs: from results to one page of HTML that opens anywhere, and to pictures in SVG for papers.
//!
//! A [`Study`] says what ran and what came out; [`page`] makes a report of it, [`pictures`] its charts as files. A [`Chart`] is data: axes and marks,
//! which are drawn as part of a page ([`Chart::to_html`]) and as a file of its own ([`Chart::to_svg`]).
//!
//! # Invariant
//!
//! Pure functions from data to text: this crate opens no file, and knows neither environments nor algorithms nor how a run is stored.

#![allow(
    clippy::disallowed_methods,
    reason = "pictures are seen by people and reach no training; their last bits may differ"
)]

mod chart;
mod curve;
mod html;
mod inspection;
mod page;
mod panels;
mod scale;
mod study;
mod svg;

use rand::Rng;

pub use chart::{Chart, Label, Layer, Mark, Shape};
pub use curve::{Curve, Summary};
pub use html::escaped;
pub use inspection::{Inspection, Place};
pub use page::page;
pub use scale::{Axis, Scale, value};
pub use study::{Column, DRAWN_TAGS, Estimate, Limit, Pair, Reaching, Run, Study, Task};
pub use svg::COLOURS;

/// Every chart of a report: a name for its file, and an SVG document.
pub fn pictures(study: &Study, rng: &mut impl Rng) -> Vec<(String, String)> {
    let of_task = |task: &Task| panels::charts(study, task, rng);
    let charts: Vec<_> = study.tasks.iter().flat_map(of_task).collect();
    charts.into_iter().map(|(_, chart)| (chart.id.clone(), chart.to_svg())).collect()
}
