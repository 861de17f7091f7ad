//! Distribution functions of the normal and of Student's t distribution, and their inverses.

use std::f64::consts::SQRT_2;

/// `Φ(z)`, the standard normal distribution function.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// The `p` quantile of the standard normal distribution, for `p` between 0 and 1.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    invert(normal_cdf, p, 40.0)
}

/// The distribution function of Student's t with `df` degrees of freedom.
///
/// `P(T ≤ −|t|) = ½ I_x(df/2, ½)` with `x = df / (df + t²)`; Abramowitz and Stegun 26.7.1.
pub(crate) fn student_cdf(t: f64, df: f64) -> f64 {
    let square = t * t;
    let tail = 0.5 * incomplete_beta(df / (df + square), square / (df + square), 0.5 * df, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The `p` quantile of Student's t with `df` degrees of freedom, for `p` between 0 and 1.
pub(crate) fn student_quantile(p: f64, df: f64) -> f64 {
    invert(|t| student_cdf(t, df), p, 1e8)
}

/// Where an increasing function odd about (0, ½) takes the value `p`, within `±limit`: bisection of the lower half, where tails
/// keep their relative accuracy.
fn invert(cdf: impl Fn(f64) -> f64, p: f64, limit: f64) -> f64 {
    if p > 0.5 {
        return -invert(cdf, 1.0 - p, limit);
    }
    let (mut low, mut high) = (-limit, 0.0);
    // 100 halvings reach the last bit from any of these limits.
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function `I_x(a, b)`, by its continued fraction (Abramowitz and Stegun 26.5.8), evaluated on
/// the side where it converges fast, `x < (a + 1) / (a + b + 2)`; the other side is `1 − I_{1−x}(b, a)`. `y` is `1 − x`, given apart
/// because it may be tiny.
fn incomplete_beta(x: f64, y: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(y, x, b, a);
    }
    let log_front = a * x.ln() + b * y.ln() + libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b);
    // The k-th partial numerator is that of the fraction 1 / (1 + d₁/(1 + d₂/(1 + …))).
    let numerator = |k: usize| {
        let m = (k / 2) as f64;
        if k.is_multiple_of(2) {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        }
    };
    // Backwards from a depth at which nothing changes any more: about √(max(a, b)) terms are needed.
    let depth = 60 + 4 * (a.max(b).sqrt() as usize);
    let tail = (1..=depth).rev().fold(1.0, |rest, k| 1.0 + numerator(k) / rest);
    log_front.exp() / (a * tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(normal_cdf(0.0), 0.5);
        close(normal_quantile(0.975), 1.959_963_984_540_054);
        // Student's t with 1 degree of freedom is Cauchy's, with 2 it has a closed form.
        for t in [-30.0_f64, -2.0, -0.3, 0.0, 0.7, 5.0] {
            close(student_cdf(t, 1.0), 0.5 + t.atan() / std::f64::consts::PI);
            close(student_cdf(t, 2.0), 0.5 + t / (2.0 * (2.0 + t * t).sqrt()));
        }
        close(student_quantile(0.75, 1.0), 1.0);
        // Many degrees of freedom are almost the normal distribution.
        assert!((student_cdf(1.5, 1e7) - normal_cdf(1.5)).abs() < 1e-7);
    }

    #[test]
    fn quantiles_invert() {
        for p in [1e-6, 0.025, 0.3, 0.5, 0.9, 0.999] {
            assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-14);
            for df in [1.0, 4.0, 9.0, 250.0] {
                assert!((student_cdf(student_quantile(p, df), df) - p).abs() < 1e-12, "{p} {df}");
            }
        }
    }
}
