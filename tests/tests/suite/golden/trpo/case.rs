//! A golden case, and its pieces: the batch, the gradient, what a candidate is worth.

use std::sync::Arc;

use rl_algo::{LinearizedPolicy, PolicyBatch, Reducer};
use rl_nn::distribution::{Categorical, DiagGaussian};
use rl_nn::{
    Actions, Activation, DistGrad, DistParams, Distribution, Forward, Mlp, PolicyModel, Real, Shards, States,
    Workspace,
};
use rl_tests::{narrow, narrow_rows};
use rl_trpo::TrpoConfig;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) kind: String,
    pub(crate) sizes: Vec<usize>,
    pub(crate) max_kl: f64,
    pub(crate) cg_iters: usize,
    pub(crate) damping: f64,
    pub(crate) shrink: f64,
    pub(crate) max_backtracks: usize,
    pub(crate) accept_ratio: f64,
    pub(crate) theta: Vec<f64>,
    pub(crate) obs: Vec<Vec<f64>>,
    pub(crate) actions: Value,
    pub(crate) advantages: Vec<f64>,
    pub(crate) old_log_prob: Vec<f64>,
    pub(crate) surrogate: f64,
    pub(crate) surrogate_terms: f64,
    pub(crate) gradient: Vec<f64>,
    pub(crate) probe: Vec<f64>,
    pub(crate) fisher_probe: Vec<f64>,
    pub(crate) cg_x: Vec<f64>,
    pub(crate) cg_residual_norms: Vec<f64>,
    #[serde(rename = "xFx")]
    pub(crate) x_fx: f64,
    pub(crate) beta: f64,
    pub(crate) line_search: Vec<GoldenTrial>,
    pub(crate) accepted_index: Option<usize>,
    pub(crate) new_theta: Vec<f64>,
}

#[derive(Deserialize)]
pub(crate) struct GoldenTrial {
    pub(crate) step_fraction: f64,
    pub(crate) surrogate: f64,
    pub(crate) surrogate_terms: f64,
    pub(crate) kl: f64,
    pub(crate) expected_improvement: f64,
    pub(crate) kl_ok: bool,
    pub(crate) improvement_ok: bool,
}

impl Case {
    pub(crate) fn policy<F: Real>(&self) -> PolicyModel<F> {
        let n = self.sizes[self.sizes.len() - 1];
        let distribution: Arc<dyn Distribution<F>> = match self.kind.as_str() {
            "gaussian" => Arc::new(DiagGaussian { dim: n }),
            _ => Arc::new(Categorical { n }),
        };
        PolicyModel::new(Arc::new(Mlp::new(&self.sizes, Activation::Tanh).unwrap()), distribution).unwrap()
    }

    pub(crate) fn config(&self) -> TrpoConfig {
        TrpoConfig {
            max_kl: self.max_kl.into(),
            cg_iters: self.cg_iters,
            cg_damping: self.damping,
            backtrack_coeff: self.shrink,
            backtrack_iters: self.max_backtracks,
            accept_ratio: self.accept_ratio,
            ..TrpoConfig::default()
        }
    }

    pub(crate) fn data<F: Real>(&self) -> Data<F> {
        let actions = match self.kind.as_str() {
            "gaussian" => {
                let rows: Vec<Vec<f64>> = serde_json::from_value(self.actions.clone()).unwrap();
                Actions::Continuous(narrow_rows(&rows))
            }
            _ => Actions::Discrete(serde_json::from_value(self.actions.clone()).unwrap()),
        };
        Data {
            obs: narrow_rows(&self.obs),
            width: self.sizes[0],
            actions,
            advantages: narrow(&self.advantages),
            old_log_probs: narrow(&self.old_log_prob),
        }
    }
}

pub(crate) struct Data<F> {
    obs: Vec<F>,
    width: usize,
    actions: Actions<F>,
    pub(crate) advantages: Vec<F>,
    old_log_probs: Vec<F>,
}

impl<F: Real> Data<F> {
    pub(crate) fn batch(&self) -> PolicyBatch<'_, F> {
        PolicyBatch {
            observations: States::new(&self.obs, self.width).unwrap(),
            actions: self.actions.as_ref(),
            advantages: &self.advantages,
            old_log_probs: &self.old_log_probs,
        }
    }

    /// Turns log-probabilities into `(π/π_old) A`.
    fn ratio_times_advantage(&self, log_probs: &mut [F]) {
        log_probs.iter_mut().zip(&self.old_log_probs).for_each(|(x, &old)| *x -= old);
        F::exp_in_place(log_probs);
        log_probs.iter_mut().zip(&self.advantages).for_each(|(x, &advantage)| *x *= advantage);
    }
}

/// `(L, ∇L)` at the policy that collected the batch.
pub(crate) fn gradient<F: Real>(policy: &PolicyModel<F>, theta: &[F], data: &Data<F>) -> (f64, Vec<F>) {
    let mut shards = Shards::new();
    let batch = data.batch();
    let mut pi = LinearizedPolicy::new(policy, theta, batch.observations, &mut shards).unwrap();
    let rows = data.advantages.len();
    let mut w = vec![F::zero(); rows];
    policy.distribution.log_prob(pi.params(), batch.actions, &mut w).unwrap();
    data.ratio_times_advantage(&mut w);
    let surrogate = Reducer.mean(&w);
    w.iter_mut().for_each(|w| *w *= F::narrow(1.0 / rows as f64));
    let mut dy = vec![F::zero(); pi.params().y.len()];
    let mut dglobals = vec![F::zero(); pi.params().globals.len()];
    let grad = DistGrad { y: &mut dy, globals: &mut dglobals };
    policy.distribution.log_prob_grad(pi.params(), batch.actions, &w, grad).unwrap();
    let mut g = vec![F::zero(); theta.len()];
    pi.pull_back(&dy, &dglobals, &mut g).unwrap();
    (surrogate, g)
}

/// `(mean KL(old‖θ), L(θ))` by a forward pass.
pub(crate) fn evaluate<F: Real>(
    policy: &PolicyModel<F>,
    old: DistParams<'_, F>,
    theta: &[F],
    data: &Data<F>,
) -> (f64, f64) {
    let batch = data.batch();
    let mut y = vec![F::zero(); old.y.len()];
    let (net, _) = policy.split(theta).unwrap();
    let mut ws = Workspace::default();
    Forward::new(&*policy.network, net, &mut ws).unwrap().run(&batch.observations, &mut y).unwrap();
    let new = policy.params(&y, theta).unwrap();
    let mut x = vec![F::zero(); data.advantages.len()];
    policy.distribution.kl(old, new, &mut x).unwrap();
    let kl = Reducer.mean(&x);
    policy.distribution.log_prob(new, batch.actions, &mut x).unwrap();
    data.ratio_times_advantage(&mut x);
    (kl, Reducer.mean(&x))
}
