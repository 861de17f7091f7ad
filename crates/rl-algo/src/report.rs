//! What an update says of itself.

/// How an update ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The parameters moved, as far as the settings let them: where a schedule ends at 0, the last update may move nothing.
    Applied,
    /// The parameters moved, and the update stopped before its last epoch.
    EarlyStopped,
    /// The policy's step was refused for this reason; its parameters are as before, bit for bit.
    Rejected(String),
    /// Something was not a finite number: what it was. Parameters and optimisers are as before, bit for bit.
    NonFinite(String),
}

impl Outcome {
    /// Whether the policy's parameters are as before.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Outcome::Rejected(_) | Outcome::NonFinite(_))
    }
}

/// What happened in an update: the same core for every algorithm wherever it has meaning, then its own scalars.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// The mean over states of KL(old‖new), exact, summed over action dimensions, in nats: the same quantity for every algorithm, also where one bounds another.
    pub approx_kl: Option<f64>,
    /// The largest KL(old‖new) over states.
    pub kl_max: Option<f64>,
    /// Mean entropy of the new policy, in nats.
    pub entropy: Option<f64>,
    /// Mean squared error of the critic on its targets, over the update's minibatches.
    pub value_loss: Option<f64>,
    /// The share of the returns' variance that the values before the update explain.
    pub explained_variance: Option<f64>,
    /// The surrogate objective after the update minus before.
    pub surrogate_gain: Option<f64>,
    /// Norm of the gradient, before clipping.
    pub grad_norm: Option<f64>,
    /// The learning rate.
    pub learning_rate: Option<f64>,
    /// The algorithm's own scalars, told below `train/` before those of its [`Log`](crate::Log); NaN where one has no meaning this time.
    pub extra: Vec<(&'static str, f64)>,
}

impl Report {
    /// A report with nothing but its outcome.
    pub fn new(outcome: Outcome) -> Self {
        Report {
            outcome,
            approx_kl: None,
            kl_max: None,
            entropy: None,
            value_loss: None,
            explained_variance: None,
            surrogate_gain: None,
            grad_norm: None,
            learning_rate: None,
            extra: Vec::new(),
        }
    }
}
