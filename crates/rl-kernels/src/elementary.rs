//! Elementary functions of one `f64`, by the same steps on every processor.
//!
//! `f64::exp` and its like call the system's mathematics library, which chooses among implementations by processor and
//! differs from system to system. These are compiled from Rust source instead (the `libm` crate, a port of musl's library), so
//! their results depend on the revision in `Cargo.lock` alone. Square roots, fused multiply-adds and rounding to
//! integers are exact everywhere and need no function here.

/// `eˣ`, within an ulp.
#[inline]
#[must_use]
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// `eˣ − 1`, within an ulp also where `x` is small.
#[inline]
#[must_use]
pub fn exp_m1(x: f64) -> f64 {
    libm::expm1(x)
}

/// `ln x`, within an ulp; −∞ at 0, NaN below.
#[inline]
#[must_use]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// `ln(1 + x)`, within an ulp also where `x` is small.
#[inline]
#[must_use]
pub fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// `sin x` for `x` in radians, within an ulp.
#[inline]
#[must_use]
pub fn sin(x: f64) -> f64 {
    libm::sin(x)
}

/// `cos x` for `x` in radians, within an ulp.
#[inline]
#[must_use]
pub fn cos(x: f64) -> f64 {
    libm::cos(x)
}

/// `(sin x, cos x)` for `x` in radians: the same bits as [`sin`] and [`cos`], with the argument reduced once.
#[inline]
#[must_use]
pub fn sin_cos(x: f64) -> (f64, f64) {
    libm::sincos(x)
}

/// `tanh x`, within two ulp.
#[inline]
#[must_use]
pub fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

/// The error function `2/√π ∫₀ˣ e^(−t²) dt`, within an ulp.
#[inline]
#[must_use]
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// `xʸ`, within an ulp.
#[inline]
#[must_use]
pub fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

/// `xⁿ` by repeated squaring: about `2 log₂ n` roundings.
#[must_use]
pub fn powi(x: f64, n: u64) -> f64 {
    let (mut result, mut base, mut n) = (1.0, x, n);
    while n > 0 {
        if n & 1 == 1 {
            result *= base;
        }
        base *= base;
        n >>= 1;
    }
    result
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!((exp(0.0), exp_m1(0.0), ln(1.0), ln_1p(0.0)), (1.0, 0.0, 0.0, 0.0));
        assert!((exp(1.0) - std::f64::consts::E).abs() < 5e-16);
        assert!((sin(1.0) - 0.841_470_984_807_896_5).abs() < 2e-16);
        assert!((cos(1.0) - 0.540_302_305_868_139_8).abs() < 2e-16);
        assert!((tanh(0.5) - 0.462_117_157_260_009_8).abs() < 2e-16);
        assert!((pow(2.0, 0.5) - std::f64::consts::SQRT_2).abs() < 5e-16);
        assert!((erf(0.5) - 0.520_499_877_813_046_5).abs() < 2e-16);
        assert!(ln(-1.0).is_nan() && ln(0.0) == f64::NEG_INFINITY);
    }

    #[test]
    fn sine_and_cosine_together_are_sine_and_cosine() {
        for i in -2000..2000 {
            let x = f64::from(i) * 0.37;
            let (s, c) = sin_cos(x);
            assert_eq!((s.to_bits(), c.to_bits()), (sin(x).to_bits(), cos(x).to_bits()), "{x}");
        }
    }

    #[test]
    fn whole_powers() {
        assert_eq!(
            (powi(3.0, 0), powi(3.0, 1), powi(3.0, 5), powi(0.5, 10)),
            (1.0, 3.0, 243.0, 1.0 / 1024.0)
        );
        assert!((powi(0.999, 100_000) / exp(100_000.0 * ln(0.999)) - 1.0).abs() < 1e-11);
    }
}
