/// Merges the mean and population variance of `n` new samples into running ones.
///
/// With `δ = m_B − m` and `c' = c + n`: `m ← m + δ n / c'`, `v ← (v c + v_B n + δ² c n / c') / c'`.
///
/// # Source
///
/// Chan, Golub & LeVeque (1979), as `RunningMeanStd` in Stable-Baselines3. `samples` is walked twice, in order.
pub(super) fn merge<I: Iterator<Item = f64> + Clone>(
    mean: &mut f64,
    var: &mut f64,
    count: f64,
    samples: I,
    n: f64,
) {
    let batch_mean = samples.clone().sum::<f64>() / n;
    let batch_var = samples.map(|x| (x - batch_mean) * (x - batch_mean)).sum::<f64>() / n;
    let (delta, total) = (batch_mean - *mean, count + n);
    *mean += delta * n / total;
    *var = (*var * count + batch_var * n + delta * delta * count * n / total) / total;
}

/// The weight of the initial mean 0 and variance 1, in samples.
pub(super) const INITIAL_COUNT: f64 = 1e-4;

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the system's functions as references")]
mod tests {
    use super::*;

    #[test]
    fn merging_batches_equals_one_pass() {
        let xs: Vec<f64> = (0..60).map(|i| (f64::from(i) * 0.7).sin() * 3.0 + 5.0).collect();
        let (mut mean, mut var, mut count) = (0.0, 0.0, 0.0);
        for batch in xs.chunks(7) {
            let n = batch.len() as f64;
            merge(&mut mean, &mut var, count, batch.iter().copied(), n);
            count += n;
        }
        let m = xs.iter().sum::<f64>() / 60.0;
        let v = xs.iter().map(|x| (x - m).powi(2)).sum::<f64>() / 60.0;
        assert!((mean - m).abs() < 1e-14 && (var - v).abs() < 1e-13, "{mean} {m} {var} {v}");
    }
}
