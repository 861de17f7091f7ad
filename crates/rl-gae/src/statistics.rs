//! Statistics over a batch, in f64 and in an order that depends on its length alone.

use num_traits::Float;

use crate::trajectories::{from_f64, to_f64};

/// Normalises advantages in place: `x ← (x − mean) / (std + 1e-8)`, with the `n − 1` standard deviation.
///
/// A single element has no standard deviation and becomes 0 (PyTorch's `std` gives NaN there). Non-finite input
/// spreads to every element, as in any mean.
///
/// # Source
///
/// Stable-Baselines3, `PPO.train`, with PyTorch's unbiased `std`.
///
/// # Example
///
/// Mean 2, standard deviation √((1 + 0 + 1) / 2) = 1:
///
/// ```
/// let mut x = [1.0, 2.0, 3.0];
/// rl_gae::normalize(&mut x);
/// assert!((x[0] + 1.0_f64).abs() < 1e-7 && x[1].abs() < 1e-7 && (x[2] - 1.0).abs() < 1e-7);
///
/// let mut one = [5.0_f32];
/// rl_gae::normalize(&mut one);
/// assert_eq!(one, [0.0]);
/// ```
pub fn normalize<F: Float>(advantages: &mut [F]) {
    let (mean, std) = mean_and_std(advantages);
    let scale = 1.0 / (std + 1e-8);
    for x in advantages {
        *x = from_f64((to_f64(*x) - mean) * scale);
    }
}

/// How much of the returns is left in the advantages: `std(A) / rms(R)`, with the `n − 1` standard deviation and `rms(R) = √mean(R²)`.
///
/// It falls from about 1 to 0 as the critic comes to explain the returns, and does not depend on the unit of rewards; a constant that every reward has
/// besides lowers it. `None` where it is undefined, because all returns are 0 or there are none.
///
/// # Shapes
///
/// Both have the same length, in any order.
///
/// # Example
///
/// `std = √((1 + 0 + 1) / 2) = 1`, `rms = √((16 + 16 + 16) / 3) = 4`:
///
/// ```
/// assert_eq!(rl_gae::advantage_share(&[-1.0, 0.0, 1.0], &[4.0, -4.0, 4.0]), Some(0.25));
/// assert_eq!(rl_gae::advantage_share(&[0.0], &[0.0]), None);
/// ```
#[must_use]
pub fn advantage_share<F: Float>(advantages: &[F], returns: &[F]) -> Option<f64> {
    let rms = (sum(returns, |r| r * r) / returns.len() as f64).sqrt();
    // NaN passes, and shows.
    (rms > 0.0 || (rms.is_nan() && !returns.is_empty())).then(|| mean_and_std(advantages).1 / rms)
}

/// The mean and the `n − 1` standard deviation, which is 0 for a single element.
fn mean_and_std<F: Float>(x: &[F]) -> (f64, f64) {
    let n = x.len();
    let mean = sum(x, |x| x) / n as f64;
    let squares = sum(x, |x| (x - mean) * (x - mean));
    (mean, if n > 1 { (squares / (n - 1) as f64).sqrt() } else { 0.0 })
}

/// `Σ term(x)`, in eight partial sums: an addition takes longer than the time until the next could begin.
fn sum<F: Float>(x: &[F], term: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = x.as_chunks::<8>();
    let mut partial = [0.0; 8];
    for chunk in chunks {
        partial.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += term(to_f64(x)));
    }
    partial.into_iter().chain(rest.iter().map(|&x| term(to_f64(x)))).sum()
}

/// The share of the returns' variance that the values explain, `1 − Var(R − V) / Var(R)`.
///
/// 1 is a perfect critic, 0 one that might as well be constant, negative one that is worse than that. `None` where the
/// share is undefined: the returns do not vary, there are none, or there are not as many values.
///
/// # Source
///
/// Stable-Baselines3, `explained_variance`.
///
/// # Shapes
///
/// Both have the same length, in any order that is the same.
///
/// # Example
///
/// `R − V = [0, 1, 2]` has variance 2/3, `R` has 8/3:
///
/// ```
/// let share = rl_gae::explained_variance(&[0.0, 1.0, 2.0], &[0.0, 2.0, 4.0]);
/// assert_eq!(share, Some(0.75));
/// assert_eq!(rl_gae::explained_variance(&[0.0, 1.0], &[3.0, 3.0]), None);
/// ```
#[must_use]
pub fn explained_variance<F: Float>(values: &[F], returns: &[F]) -> Option<f64> {
    if values.len() != returns.len() || returns.is_empty() {
        return None;
    }
    let total = variance(returns.iter().map(|&r| to_f64(r)));
    let unexplained = variance(returns.iter().zip(values).map(|(&r, &v)| to_f64(r) - to_f64(v)));
    // A variance is never negative; NaN passes, and shows.
    (total > 0.0 || total.is_nan()).then(|| 1.0 - unexplained / total)
}

// Of the differences from the first element, so that equal elements have variance 0 whatever their sum rounds to.
fn variance(xs: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let n = xs.len();
    let first = xs.clone().next().unwrap_or(0.0);
    let xs = xs.map(|x| x - first);
    let mean = mean(xs.clone(), n);
    xs.map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64
}

fn mean(xs: impl Iterator<Item = f64>, n: usize) -> f64 {
    xs.sum::<f64>() / n as f64
}
