//! Does it learn? A test of that for an environment or an algorithm of one's own, in one's own continuous integration.
//!
//! Training is random, so a test that trains one seed and asserts a score fails now and then for no reason, and passes now and then
//! in spite of one. [`learns`] trains seed after seed until it is clear whether the share of seeds that learn is high or low, with
//! error probabilities that are stated beforehand.

use std::fmt;

use rayon::prelude::*;
use rl_algo::{AlgoError, Algorithm, NetConfig, check_setting};
use rl_env::EnvSpec;
use rl_stats::{Sprt, StatsError, Verdict};

use crate::{EvalConfig, Status, TrainConfig, TrainError, Trainer, new_agent};

/// What an algorithm must learn, and how certain the test must be.
///
/// With the defaults, a test passes an algorithm of which at most half of the seeds learn with probability at most 1 %, and fails one of
/// which at least 95 % do with probability at most 1 %. It takes 8 seeds where all of them learn, 10 on average where 95 % do
/// (and is undecided after 20 seeds with probability 3.5 %), and 6 where half of them do. Between the two shares the verdict is
/// open: at 80 % it passes with probability 39 %, fails with 29 % and is undecided with 33 %. [`Sprt::characteristics`] of
/// [`Learns::sprt`] gives these numbers for other settings.
#[derive(Clone, Debug)]
pub struct Learns {
    /// The return from which a seed counts as having learned: the mean of its final evaluation.
    pub threshold: f64,
    /// Episodes of the final evaluation.
    pub episodes: usize,
    /// A share of seeds that is too low: a test of at most this passes with probability at most `alpha`.
    pub p0: f64,
    /// A share of seeds that is enough: a test of at least this fails with probability at most `beta`.
    pub p1: f64,
    /// The probability of passing what is too low.
    pub alpha: f64,
    /// The probability of failing what is enough.
    pub beta: f64,
    /// The seeds after which the test is undecided.
    pub max_seeds: usize,
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// The training loop.
    pub train: TrainConfig,
    /// The networks.
    pub net: NetConfig,
}

impl Default for Learns {
    /// The threshold 0 with 20 episodes; half of the seeds against 95 %, with 1 % of error on each side, and at most 20 seeds.
    fn default() -> Self {
        Learns {
            threshold: 0.0,
            episodes: 20,
            p0: 0.5,
            p1: 0.95,
            alpha: 0.01,
            beta: 0.01,
            max_seeds: 20,
            first_seed: 0,
            train: TrainConfig::default(),
            net: NetConfig::default(),
        }
    }
}

impl Learns {
    /// The sequential test that decides.
    ///
    /// # Errors
    ///
    /// [`StatsError::Parameter`] for a probability or a number of seeds that cannot be used.
    pub fn sprt(&self) -> Result<Sprt, StatsError> {
        Sprt::new(self.p0, self.p1, self.alpha, self.beta, self.max_seeds)
    }
}

/// What [`learns`] found.
#[derive(Debug)]
pub struct Learned {
    /// Whether it learns.
    pub verdict: Verdict,
    /// Every seed that the verdict rests on, in order.
    pub seeds: Vec<SeedResult>,
    /// The return that counts as learned.
    pub threshold: f64,
}

/// The result of the run with one seed.
#[derive(Debug)]
pub struct SeedResult {
    /// The seed.
    pub seed: u64,
    /// The mean return of its final evaluation, or why the run failed, which is not to learn.
    pub mean_return: Result<f64, TrainError>,
}

impl Learned {
    /// Whether the test passes.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.verdict == Verdict::Pass
    }
}

impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Pass => "it learns",
            Verdict::Fail => "it does not learn",
            Verdict::Undecided => "undecided",
        };
        let learned = self.seeds.iter().filter(|s| s.has_learned(self.threshold)).count();
        write!(f, "{verdict}: {learned} of {} seeds reach {}:", self.seeds.len(), self.threshold)?;
        for SeedResult { seed, mean_return } in &self.seeds {
            match mean_return {
                Ok(mean) => write!(f, " s{seed} {mean:.2}")?,
                Err(error) => write!(f, " s{seed} failed ({error})")?,
            }
        }
        Ok(())
    }
}

impl SeedResult {
    fn has_learned(&self, threshold: f64) -> bool {
        self.mean_return.as_ref().is_ok_and(|mean| *mean >= threshold)
    }
}

/// Trains an algorithm in an environment, seed after seed, until it is clear whether it learns.
///
/// Every seed is a run of [`Trainer`] as the command line makes it, without files. As many seeds train at once as the current
/// pool has threads; the verdict is that of one at a time, in order, so it does not depend on their number.
///
/// # Source
///
/// [`Sprt`]: Wald's sequential probability ratio test.
///
/// # Errors
///
/// [`TrainError::Config`] and others for settings that cannot be used, found before anything is trained. A run that fails later is a seed that has not
/// learned.
///
/// # Example
///
/// ```no_run
/// use rl_train::TrainConfig;
/// use rl_train::testing::{Learns, learns};
/// # use rl_algo::{ActorCritic, AlgoError, Algorithm, Batch, Outcome, Report, UpdateContext};
/// # struct Mine;
/// # impl Algorithm for Mine {
/// #     fn update(&mut self, _: &mut ActorCritic, _: &Batch, _: &mut UpdateContext<'_>) -> Result<Report, AlgoError> {
/// #         Ok(Report::new(Outcome::Applied))
/// #     }
/// # }
///
/// let env = rl_env::Registry::builtin().get("CartPole-v1")?.clone();
/// let train = TrainConfig { n_envs: 8, n_steps: 128, total_steps: 50_000, ..TrainConfig::default() };
/// let learned = learns(&env, || Ok(Box::new(Mine)), &Learns { threshold: 475.0, train, ..Learns::default() })?;
/// assert!(learned.passes(), "{learned}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn learns(
    env: &EnvSpec,
    algorithm: impl Fn() -> Result<Box<dyn Algorithm>, AlgoError> + Sync,
    test: &Learns,
) -> Result<Learned, TrainError> {
    let sprt = test.sprt().map_err(|e| unusable(&e))?;
    check_setting("threshold", test.threshold, "a number", test.threshold.is_finite())?;
    check_setting("episodes", test.episodes, "an integer from 1 up", test.episodes >= 1)?;
    let make = |seed| {
        let agent = new_agent(env, &test.net, seed)?;
        // Evaluated once, at the end.
        let eval = EvalConfig {
            episodes: test.episodes,
            final_episodes: test.episodes,
            ..EvalConfig::every(u64::MAX / 2)
        };
        Trainer::new(env, test.train, agent, algorithm()?, seed)?.with_evaluation(env, eval)
    };
    make(test.first_seed)?;

    let mut learned = Learned { verdict: Verdict::Undecided, seeds: Vec::new(), threshold: test.threshold };
    let (mut successes, mut failures) = (0, 0);
    let at_once = rayon::current_num_threads().max(1);
    loop {
        let next = test.first_seed + (successes + failures) as u64;
        let batch: Vec<SeedResult> = (next..next + at_once as u64)
            .into_par_iter()
            .map(|seed| SeedResult { seed, mean_return: make(seed).and_then(final_return) })
            .collect();
        for result in batch {
            if result.has_learned(test.threshold) {
                successes += 1
            } else {
                failures += 1
            }
            learned.seeds.push(result);
            if let Some(verdict) = sprt.decide(successes, failures) {
                learned.verdict = verdict;
                return Ok(learned);
            }
        }
    }
}

/// Trains, and gives the mean return of the evaluation at the end.
fn final_return(mut trainer: Trainer) -> Result<f64, TrainError> {
    let summary = trainer.run()?;
    match (summary.status, summary.eval) {
        (Status::Finished, Some(evaluation)) => Ok(evaluation.mean),
        _ => Err(TrainError::Stopped),
    }
}

fn unusable(e: &StatsError) -> rl_algo::ConfigError {
    match e {
        StatsError::Parameter { name, got, allowed } => rl_algo::ConfigError {
            key: if *name == "max_runs" { "max_seeds".to_owned() } else { (*name).to_owned() },
            value: got.to_string(),
            allowed: (*allowed).to_owned(),
        },
        e => rl_algo::ConfigError { key: "test".to_owned(), value: String::new(), allowed: e.to_string() },
    }
}
