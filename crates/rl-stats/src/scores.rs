//! Scores of several runs in several tasks.

use rand::RngCore;

use crate::aggregate::{iqm, mean, median, optimality_gap};
use crate::bootstrap::draw;
use crate::error::{StatsError, check_samples};

/// Scores of several runs in each of several tasks, of which the aggregates of Agarwal et al. are taken.
///
/// # Shapes
///
/// Tasks × runs, as many runs in every task (rliable's matrices are runs × tasks).
///
/// # Example
///
/// ```
/// let scores = rl_stats::Scores::new(&[[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 0.0, 8.0]])?;
/// assert_eq!((scores.n_tasks(), scores.n_runs()), (2, 4));
/// assert_eq!(scores.mean(), 2.5); // of the tasks' means, 3 and 2
/// assert_eq!(scores.iqm(), 1.5); // of 0, 1, 2 and 3, without two at each end
/// # Ok::<(), rl_stats::StatsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    runs: usize,
    /// Task after task.
    values: Vec<f64>,
}

impl Scores {
    /// The scores of every task.
    ///
    /// # Errors
    ///
    /// [`StatsError`] where there is no score, one is NaN, or a task has more or fewer runs than the first.
    pub fn new(tasks: &[impl AsRef<[f64]>]) -> Result<Self, StatsError> {
        let runs = tasks.first().map_or(0, |task| task.as_ref().len());
        if let Some(task) = tasks.iter().find(|task| task.as_ref().len() != runs) {
            let got = task.as_ref().len();
            return Err(StatsError::Count { what: "runs of a task", got, expected: runs });
        }
        let values: Vec<f64> = tasks.iter().flat_map(|task| task.as_ref().iter().copied()).collect();
        check_samples(&values)?;
        Ok(Scores { runs, values })
    }

    /// The number of tasks.
    #[must_use]
    pub fn n_tasks(&self) -> usize {
        self.values.len() / self.runs
    }

    /// The number of runs in each task.
    #[must_use]
    pub fn n_runs(&self) -> usize {
        self.runs
    }

    /// The scores of each task.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.runs)
    }

    /// The scores of all tasks together.
    #[must_use]
    pub fn pooled(&self) -> &[f64] {
        &self.values
    }

    /// Scores normalised task by task: `(x − low) / (high − low)`, so that 0 is the task's `low` (as a random policy's) and 1
    /// its `high`.
    ///
    /// # Errors
    ///
    /// [`StatsError`] where there are more or fewer references than tasks, or one whose `high` is not above its `low`.
    pub fn normalized(&self, references: &[(f64, f64)]) -> Result<Self, StatsError> {
        let expected = self.n_tasks();
        if references.len() != expected {
            return Err(StatsError::Count { what: "references of tasks", got: references.len(), expected });
        }
        if let Some((low, high)) =
            references.iter().find(|(low, high)| high - low <= 0.0 || (high - low).is_nan())
        {
            let allowed = "a reference whose high is above its low";
            return Err(StatsError::Parameter { name: "high − low", got: high - low, allowed });
        }
        let tasks = self.tasks().zip(references);
        let scaled: Vec<Vec<f64>> = tasks
            .map(|(task, (low, high))| task.iter().map(|x| (x - low) / (high - low)).collect())
            .collect();
        Scores::new(&scaled)
    }

    /// The mean of the tasks' means.
    #[must_use]
    pub fn mean(&self) -> f64 {
        mean(&self.task_means())
    }

    /// The median of the tasks' means; of one task, its mean.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.task_means())
    }

    /// The interquartile mean of all scores together.
    #[must_use]
    pub fn iqm(&self) -> f64 {
        iqm(&self.values)
    }

    /// The optimality gap of all scores together; see [`optimality_gap`].
    #[must_use]
    pub fn optimality_gap(&self, gamma: f64) -> f64 {
        optimality_gap(&self.values, gamma)
    }

    fn task_means(&self) -> Vec<f64> {
        self.tasks().map(mean).collect()
    }

    /// Draws as many runs of each task as there are, with replacement, into scores of the same shape.
    pub(crate) fn resample(&self, resample: &mut Scores, rng: &mut impl RngCore) {
        for (task, drawn) in self.tasks().zip(resample.values.chunks_exact_mut(self.runs)) {
            draw(task, drawn, rng);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ragged_and_empty_are_refused() {
        assert_eq!(Scores::new(&[[0.0; 0]]), Err(StatsError::NoSamples));
        assert_eq!(Scores::new(&[] as &[Vec<f64>]), Err(StatsError::NoSamples));
        let ragged = Scores::new(&[vec![1.0, 2.0], vec![1.0]]);
        assert_eq!(ragged, Err(StatsError::Count { what: "runs of a task", got: 1, expected: 2 }));
        assert_eq!(Scores::new(&[[1.0, f64::NAN]]), Err(StatsError::NotANumber { index: 1 }));
    }

    #[test]
    fn normalising_is_task_by_task() {
        let scores = Scores::new(&[[10.0, 20.0], [0.0, -100.0]]).unwrap();
        let scaled = scores.normalized(&[(0.0, 20.0), (-100.0, 0.0)]).unwrap();
        assert_eq!(scaled.pooled(), [0.5, 1.0, 1.0, 0.0]);
        assert!(scores.normalized(&[(0.0, 20.0)]).is_err());
        assert!(scores.normalized(&[(0.0, 20.0), (1.0, 1.0)]).is_err());
    }
}
