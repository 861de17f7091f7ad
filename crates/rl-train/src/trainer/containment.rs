//! What keeps a fault from spreading: numbers that are not finite, and users' code that panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rl_algo::{Outcome, Report};
use rl_env::panic_message;
use rl_nn::{Actions, Archive, Data};
use serde_json::{Value, json};

use super::Trainer;
use crate::{TrainError, write_atomically};

/// Updates in a row that were not finite, after which a run ends.
pub(super) const MAX_NON_FINITE: u64 = 10;
/// How many of a run leave a dump.
const MAX_DUMPS: u64 = 3;

impl Trainer {
    /// Counts an update that was not finite, and leaves what it was made of.
    pub(super) fn contain(&mut self, report: &Report) -> Result<(), TrainError> {
        if !is_finite(self.agent.theta()) {
            return Err(TrainError::NonFiniteParameters(self.info.algo.clone()));
        }
        let Outcome::NonFinite(what) = &report.outcome else {
            self.non_finite = 0;
            return Ok(());
        };
        self.non_finite += 1;
        if self.dumps < MAX_DUMPS {
            self.dumps += 1;
            match self.dump(what) {
                Ok(Some(path)) => self.warn(format!(
                    "at step {} {what} was not finite; the update was undone, what it was made of is in {}",
                    self.tally.step,
                    path.display()
                )),
                Ok(None) => {}
                Err(error) => {
                    self.warn(format!("{what} was not finite, and its batch could not be saved: {error}"))
                }
            }
        }
        if self.non_finite < MAX_NON_FINITE {
            return Ok(());
        }
        Err(TrainError::NonFinite { what: what.clone(), updates: self.non_finite })
    }

    /// Writes the batch and the parameters of the update at hand.
    fn dump(&self, what: &str) -> Result<Option<std::path::PathBuf>, TrainError> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let (rollout, mut archive) = (&self.batch.rollout, Archive::default());
        let about = json!({
            "kind": "dump", "version": 1, "step": self.tally.step, "update": self.tally.updates + 1, "what": what,
            "algo": self.info.algo, "env": self.info.env, "seed": self.info.seed, "settings": self.info.settings,
        });
        if let Value::Object(about) = about {
            archive.about = about;
        }
        let mut add = |name: &str, data: Data| archive.insert(name, &[data.len()], data);
        add("theta", Data::F32(self.agent.theta().to_vec()));
        add("observations", Data::F32(rollout.observations.clone()));
        add("masks", Data::U8(rollout.masks.iter().map(|mask| u8::from(*mask)).collect()));
        add(
            "actions",
            match &rollout.actions {
                Actions::Discrete(a) => Data::U64(a.iter().map(|a| *a as u64).collect()),
                Actions::Continuous(a) => Data::F32(a.clone()),
            },
        );
        add("rewards", Data::F32(rollout.rewards.clone()));
        add("log_probs", Data::F32(rollout.log_probs.clone()));
        add("policy_outputs", Data::F32(rollout.policy_outputs.clone()));
        add("advantages", Data::F32(self.batch.advantages.clone()));
        add("returns", Data::F32(self.batch.returns.clone()));
        add("values", Data::F32(self.batch.values.clone()));
        let path = dir.file(&format!("dump-step-{:015}.safetensors", self.tally.step));
        write_atomically(&path, &archive.to_bytes()?)?;
        Ok(Some(path))
    }
}

/// Whether every number is finite, many at a time.
pub(super) fn is_finite(numbers: &[f32]) -> bool {
    numbers.chunks(64).all(|chunk| chunk.iter().fold(true, |all, x| all & x.is_finite()))
}

/// Runs what may call users' code; a panic in it is an error.
pub(super) fn catch<T>(work: impl FnOnce() -> Result<T, TrainError>) -> Result<T, TrainError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(TrainError::Panic(panic_message(&*payload))))
}
