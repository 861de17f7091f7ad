//! What a report is made of.

use crate::curve::Curve;

/// The scalars of a run that a report draws, or computes what it draws from.
pub const DRAWN_TAGS: [&str; 13] = [
    "rollout/ep_rew_mean",
    "train/approx_kl",
    "train/backtracks",
    "train/cg_residual",
    "train/clip_fraction",
    "train/entropy_loss",
    "train/expected_gain",
    "train/explained_variance",
    "train/grad_norm",
    "train/kl_max",
    "train/max_kl",
    "train/max_kl_sum",
    "train/surrogate_gain",
];

/// Runs that are compared.
#[derive(Clone, Debug, Default)]
pub struct Study {
    /// The name of the program.
    pub program: String,
    /// The commands that ran them, where they are known.
    pub commands: Vec<String>,
    /// How many runs there were at once and the seconds they took together, where that is known.
    pub effort: Option<(usize, f64)>,
    /// What must be known to read it.
    pub notes: Vec<String>,
    /// Environment by environment.
    pub tasks: Vec<Task>,
}

/// What happened in one environment.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// Its name.
    pub env: String,
    /// The return that counts as solved.
    pub threshold: Option<f64>,
    /// What was compared.
    pub columns: Vec<Column>,
    /// Settings that differ: the key, and what each column that has it says.
    pub differences: Vec<(String, Vec<(String, String)>)>,
    /// Every two columns.
    pub pairs: Vec<Pair>,
    /// What must be known to read the numbers.
    pub notes: Vec<String>,
}

/// A number with its interval, which few runs do not give.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// The ends of its 95 % interval.
    pub ends: Option<(f64, f64)>,
}

/// How long it takes until something is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reaching {
    /// The median over runs; `None` where fewer than half reach it.
    pub median: Option<f64>,
    /// The ends of its interval; one that lies beyond what was seen is `None`.
    pub ends: Option<(Option<f64>, Option<f64>)>,
    /// How many runs reach it.
    pub reached: usize,
    /// How many there are.
    pub runs: usize,
}

/// A limit that an algorithm sets itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Always the same, in nats.
    Constant(f64),
    /// Another one as training proceeds.
    Changing,
}

/// All runs of one algorithm with its settings.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// The algorithm and its label.
    pub name: String,
    /// Where its settings started.
    pub preset: String,
    /// A file that gives these runs again.
    pub config: String,
    /// The limit that it sets itself on the mean KL of every update, in nats; where runs tell of a `train/max_kl`, it is that one, update by update. `None` for an
    /// algorithm that tests no limit.
    pub max_kl: Option<Limit>,
    /// The interquartile mean of the final evaluations.
    pub iqm: Option<Estimate>,
    /// Their mean.
    pub mean: Option<Estimate>,
    /// Their standard deviation.
    pub std: Option<f64>,
    /// Whether their intervals hold whenever one stops adding seeds; else they are bootstrap intervals.
    pub is_sequential: bool,
    /// Why there are no such numbers.
    pub withheld: Option<String>,
    /// What a failed run counts as, where one failed and a worst return is documented.
    pub worst_return: Option<f64>,
    /// How many steps the threshold takes, where there is one.
    pub steps_to_threshold: Option<Reaching>,
    /// Its runs.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its seed, or another name.
    pub name: String,
    /// How it ended.
    pub status: String,
    /// What went wrong, or what is wrong with it.
    pub error: Option<String>,
    /// What it counts as in the comparison.
    pub score: Option<f64>,
    /// Environment steps, where known.
    pub steps: Option<u64>,
    /// Environment steps a second.
    pub steps_per_second: Option<f64>,
    /// Seconds of training, those of evaluations not counted.
    pub training_seconds: Option<f64>,
    /// All seconds it took.
    pub wall_seconds: Option<f64>,
    /// Its evaluations: steps, seconds of training, mean return.
    pub evaluations: Vec<(f64, Option<f64>, f64)>,
    /// What it told at every update, by name, with steps: those of [`DRAWN_TAGS`], others are not looked at.
    pub scalars: Vec<(String, Curve)>,
    /// Steps and seconds of training at every update.
    pub clock: Curve,
}

/// How two columns compare.
#[derive(Clone, Debug)]
pub struct Pair {
    /// One.
    pub name: String,
    /// The other.
    pub over: String,
    /// How probably a run of the one ends better than one of the other.
    pub probability: Estimate,
    /// The mean difference of runs with the same seed.
    pub difference: Option<Estimate>,
}

impl Run {
    /// Whether it failed.
    pub fn has_failed(&self) -> bool {
        self.status == "failed"
    }

    /// Whether it came to its end.
    pub fn is_done(&self) -> bool {
        self.status == "finished" || self.is_stopped()
    }

    /// Whether it was ended before its budget was spent, because of what it had reached.
    pub fn is_stopped(&self) -> bool {
        self.status == "stopped"
    }

    /// What it told under a name.
    pub fn scalar(&self, tag: &str) -> Option<&Curve> {
        self.scalars.iter().find(|(name, _)| name == tag).map(|(_, curve)| curve).filter(|c| !c.is_empty())
    }
}

impl Study {
    /// The names of all columns, each once, in order: a column has the colour of its name's number.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for column in self.tasks.iter().flat_map(|task| &task.columns) {
            if !names.contains(&&*column.name) {
                names.push(&column.name);
            }
        }
        names
    }
}
