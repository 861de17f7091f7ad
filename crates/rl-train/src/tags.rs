//! What scalars and histograms may be called.

use rl_algo::{Log, Report};
use rl_env::name_fault;

use crate::{TrainError, Update};

/// Where what is the run's own stands.
const OWN: [&str; 3] = ["rollout/", "eval/", "time/"];

/// Checks the tags of what an algorithm tells of an update.
///
/// # Errors
///
/// [`TrainError::Tag`] for one that cannot be a tag or is below what is the run's own, [`TrainError::DuplicateScalar`] for one
/// that is told twice, [`TrainError::TakenScalar`] for one that every update has.
pub(crate) fn check_update(update: &Update) -> Result<(), TrainError> {
    let told = update.log.scalars().iter().map(|(tag, _)| tag);
    for tag in told.chain(update.log.histograms().iter().map(|(tag, _)| tag)) {
        // What stands behind `train/` is what was given where that has no slash.
        let fault = name_fault(tag).map(str::to_owned);
        let own = OWN.iter().find(|own| tag.starts_with(**own));
        let own = own.map(|own| format!("what is below {own:?} is the run's own"));
        if let Some(reason) = fault.or(own) {
            return Err(TrainError::Tag { tag: tag.clone(), reason });
        }
    }
    let scalars = update.scalars();
    let histograms = update.log.histograms().iter().map(|(tag, _)| tag.as_str());
    let mut tags: Vec<&str> = scalars.iter().map(|(tag, _)| &**tag).chain(histograms).collect();
    tags.sort_unstable();
    let Some(twice) = tags.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]) else {
        return Ok(());
    };
    let report = Report { extra: Vec::new(), ..update.report.clone() };
    let bare = Update { report, log: Log::default(), ..update.clone() };
    let is_of_every_update = bare.scalars().iter().any(|(tag, _)| tag == twice);
    Err(match is_of_every_update {
        true => TrainError::TakenScalar(twice.to_owned()),
        false => TrainError::DuplicateScalar(twice.to_owned()),
    })
}
