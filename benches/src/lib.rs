//! What the benchmarks share: an agent and data of the sizes that matter.

use rand::Rng;
use rl_algo::{ActorCritic, NetConfig, PolicyBatch};
use rl_env::rng::stream;
use rl_env::{BoxSpace, EnvRng, Space};
use rl_nn::{Actions, DistParams, States};
use rl_ppo::Minibatch;

/// An actor and a critic with two hidden layers of `width` for CartPole's spaces.
///
/// # Panics
///
/// If `width` is not a width that [`NetConfig`] takes.
pub fn agent(width: usize) -> ActorCritic {
    let observations: Space = BoxSpace::uniform(-1.0, 1.0, &[4]).into();
    let config = NetConfig { net_arch: [width, width].into(), ..NetConfig::default() };
    ActorCritic::for_spaces(&observations, &Space::Discrete(2), &config, &mut rng())
        .unwrap_or_else(|e| panic!("an agent of width {width}: {e}"))
}

/// The generator of all benchmark data.
pub fn rng() -> EnvRng {
    stream(0, "bench", 0)
}

/// `n` uniform numbers in ±1.
pub fn reals(rng: &mut EnvRng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Samples of CartPole's shapes.
#[derive(Debug)]
pub struct Samples {
    observations: Vec<f32>,
    actions: Actions<f32>,
    old_log_probs: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
    old_values: Vec<f32>,
    rows: Vec<usize>,
}

impl Samples {
    /// So many of them.
    pub fn new(n: usize) -> Self {
        let mut rng = rng();
        Samples {
            observations: reals(&mut rng, n * 4),
            actions: Actions::Discrete((0..n).map(|_| rng.random_range(0..2)).collect()),
            old_log_probs: (0..n).map(|_| rng.random_range(-0.75..-0.65)).collect(),
            advantages: reals(&mut rng, n),
            returns: reals(&mut rng, n),
            old_values: reals(&mut rng, n),
            rows: (0..n).collect(),
        }
    }

    /// As a batch for the policy.
    pub fn policy_batch(&self) -> PolicyBatch<'_, f32> {
        PolicyBatch {
            observations: States::new(&self.observations, 4).unwrap_or_else(|e| panic!("rows of four: {e}")),
            actions: self.actions.as_ref(),
            advantages: &self.advantages,
            old_log_probs: &self.old_log_probs,
        }
    }

    /// The first `n` of them as a minibatch.
    pub fn minibatch(&self, n: usize) -> Minibatch<'_, f32> {
        Minibatch {
            policy: self.policy_batch(),
            // The clipped loss does not compare distributions.
            old: DistParams { y: &[], globals: &[] },
            returns: &self.returns,
            old_values: &self.old_values,
            rows: &self.rows[..n],
        }
    }
}

/// Multiply-adds of [`fma_peak`], each two floating-point operations.
pub const PEAK_FMAS: usize = 64 * CHAINS * 1000;

/// Independent chains: enough for the latency of a multiply-add on every vector unit.
const CHAINS: usize = 12;

/// `f32` multiply-adds on registers and nothing else: the arithmetic limit of one core, and the yardstick of comparisons.
pub fn fma_peak(x: f32) -> f32 {
    struct Peak(f32);
    impl pulp::WithSimd for Peak {
        type Output = f32;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) -> f32 {
            let (a, b) = (simd.splat_f32s(self.0), simd.splat_f32s(1e-3));
            let mut acc = [simd.splat_f32s(0.5); CHAINS];
            // As many multiply-adds whatever the width of a vector.
            for _ in 0..64 * 1000 / S::F32_LANES {
                for acc in &mut acc {
                    *acc = simd.mul_add_f32s(*acc, a, b);
                }
            }
            acc.into_iter().map(|acc| simd.reduce_sum_f32s(acc)).sum()
        }
    }
    rl_kernels::dispatch(Peak(x))
}
