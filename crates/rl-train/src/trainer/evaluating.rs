//! Evaluations on the way, and what they leave: the policy, and films of it.

use std::path::PathBuf;
use std::time::Instant;

use super::{Trainer, judge};
use crate::{Actor, Event, Policy, RunDir, TrainError};

impl Trainer {
    /// Evaluates the policy where that is due, and saves it.
    pub(super) fn evaluate_if_due(&mut self) -> Result<(), TrainError> {
        let (step, is_over, elapsed) = (self.tally.step, self.is_over(), self.tally.timing().elapsed);
        let Some(evaluator) = &mut self.evaluator else {
            return Ok(());
        };
        let Some(episodes) = evaluator.due(step, is_over) else {
            return Ok(());
        };
        let begun = Instant::now();
        let actor = Actor {
            policy: self.agent.policy(),
            theta: self.agent.policy_theta(),
            normalizer: self.collector.observation_normalizer(),
        };
        let evaluation = evaluator.evaluate(actor, episodes, self.info.seed, &self.stop);
        self.tally.evaluating += begun.elapsed();
        let evaluation = evaluation?;
        let (is_best, longest) = (evaluator.is_best(evaluation.mean), evaluator.leaves_after());
        self.save_on_the_way(is_best);
        let reached = self.threshold.is_some_and(|threshold| evaluation.mean >= threshold);
        if reached && self.tally.threshold_reached.is_none() {
            self.tally.threshold_reached = Some((step, elapsed));
        }
        self.tally.last_evaluation = is_over.then(|| evaluation.clone());
        if let Some(longest) = longest.filter(|&longest| evaluation.mean_length >= longest as f64) {
            self.warn(format!(
                "every episode of an evaluation was left after {longest} steps: episodes of {} seem not to end; \
                 EnvSpec::with_time_limit ends them",
                self.info.env
            ));
        }
        let evaluation = &evaluation;
        let event = Event::Evaluation { step, evaluation };
        self.sinks.tell(event)?;
        judge(&mut self.watchers, event, &mut self.verdict);
        #[cfg(feature = "pictures")]
        self.film()?;
        // What it showed is part of the state.
        self.boundary(true)
    }

    /// Tells a film of the policy, where films are asked for.
    #[cfg(feature = "pictures")]
    fn film(&mut self) -> Result<(), TrainError> {
        let Some(films) = &self.films else { return Ok(()) };
        let begun = Instant::now();
        let film = films.film(&self.agent, self.collector.observation_normalizer())?;
        self.tally.evaluating += begun.elapsed();
        self.sinks.tell(Event::Film { step: self.tally.step, film: &film })?;
        Ok(())
    }

    /// Saves the policy in the middle of a run, which goes on where that fails, and says so in the end.
    fn save_on_the_way(&mut self, is_best: bool) {
        let saved = if is_best { self.save_policy(RunDir::best) } else { Ok(()) };
        if let Err(error) = saved.and(self.save_policy(RunDir::latest)) {
            self.warn_first("a policy could not be saved", self.tally.step, &error);
        }
    }

    pub(super) fn save_policy(&self, place: impl FnOnce(&RunDir) -> PathBuf) -> Result<(), TrainError> {
        let (Some(dir), Some(trained)) = (&self.dir, self.agent.trained_policy()) else {
            return Ok(());
        };
        let normalizer = self.collector.observation_normalizer().cloned();
        Policy::new(&self.info.env, self.info.seed, self.tally.step, trained)
            .with_masks(self.collector.has_masks())
            .seeing_through(normalizer)?
            .save(place(dir))
    }
}
