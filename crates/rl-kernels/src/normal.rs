//! Normally distributed numbers.

#![allow(clippy::excessive_precision, reason = "coefficients as they were published")]

use rand::{Rng, RngCore};
use rand_distr::Distribution;

use crate::elementary::ln;

/// The standard normal distribution, one 64-bit draw of the generator a sample.
///
/// `z = Φ⁻¹(u)` with `u` uniform among the 2⁵³ midpoints of (0, 1). As every sample takes one draw, a stream can be counted, and as every
/// step is an exactly rounded operation or [`ln`](crate::elementary::ln), it is the same everywhere. (`rand_distr`'s own sampler calls the
/// system's `exp` and `ln`.)
///
/// # Source
///
/// Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", 1988, routine PPND16, accurate to about 1e-16.
///
/// # Example
///
/// ```
/// use rand::SeedableRng;
/// use rand_distr::Distribution;
///
/// let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(0);
/// let z: Vec<f64> = rl_kernels::StandardNormal.sample_iter(&mut rng).take(10_000).collect();
/// let mean = z.iter().sum::<f64>() / 1e4;
/// let variance = z.iter().map(|z| z * z).sum::<f64>() / 1e4;
/// assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandardNormal;

impl Distribution<f64> for StandardNormal {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        // Midpoints: u is never 0 or 1, and symmetric about ½.
        let midpoint = (RngCore::next_u64(rng) >> 11) as f64 + 0.5;
        inverse_cdf(midpoint * (1.0 / (1_u64 << 53) as f64))
    }
}

/// `Φ⁻¹(u)` for `u` in (0, 1).
fn inverse_cdf(u: f64) -> f64 {
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * horner(&CENTRE_P, r) / horner(&CENTRE_Q, r);
    }
    let tail = if q < 0.0 { u } else { 1.0 - u };
    let r = (-ln(tail)).sqrt();
    let z = if r <= 5.0 {
        horner(&SHOULDER_P, r - 1.6) / horner(&SHOULDER_Q, r - 1.6)
    } else {
        horner(&TAIL_P, r - 5.0) / horner(&TAIL_Q, r - 5.0)
    };
    if q < 0.0 { -z } else { z }
}

/// `Σ c[i] xⁱ`, every operation rounded by itself.
#[inline(always)]
fn horner(c: &[f64; 8], x: f64) -> f64 {
    c.iter().rev().fold(0.0, |y, &c| y * x + c)
}

/// |u − ½| ≤ 0.425.
const CENTRE_P: [f64; 8] = [
    3.387_132_872_796_366_608,
    1.331_416_678_917_843_774_5e2,
    1.971_590_950_306_551_442_7e3,
    1.373_169_376_550_946_112_5e4,
    4.592_195_393_154_987_145_7e4,
    6.726_577_092_700_870_085_3e4,
    3.343_057_558_358_812_810_5e4,
    2.509_080_928_730_122_672_7e3,
];
const CENTRE_Q: [f64; 8] = [
    1.0,
    4.231_333_070_160_091_125_2e1,
    6.871_870_074_920_579_083e2,
    5.394_196_021_424_751_107_7e3,
    2.121_379_430_158_659_586_7e4,
    3.930_789_580_009_271_061e4,
    2.872_908_573_572_194_267_4e4,
    5.226_495_278_852_854_561e3,
];
/// The tails, to √(−ln u) = 5.
const SHOULDER_P: [f64; 8] = [
    1.423_437_110_749_683_577_34,
    4.630_337_846_156_545_295_9,
    5.769_497_221_460_691_405_5,
    3.647_848_324_763_204_605_04,
    1.270_458_252_452_368_382_58,
    2.417_807_251_774_506_117_7e-1,
    2.272_384_498_926_918_458_33e-2,
    7.745_450_142_783_414_076_4e-4,
];
const SHOULDER_Q: [f64; 8] = [
    1.0,
    2.053_191_626_637_758_821_87,
    1.676_384_830_183_803_849_4,
    6.897_673_349_851_000_045_5e-1,
    1.481_039_764_274_800_745_9e-1,
    1.519_866_656_361_645_719_66e-2,
    5.475_938_084_995_344_946e-4,
    1.050_750_071_644_416_843_24e-9,
];
/// Beyond.
const TAIL_P: [f64; 8] = [
    6.657_904_643_501_103_777_2,
    5.463_784_911_164_114_369_9,
    1.784_826_539_917_291_335_8,
    2.965_605_718_285_048_912_3e-1,
    2.653_218_952_657_612_309_3e-2,
    1.242_660_947_388_078_438_6e-3,
    2.711_555_568_743_487_578_15e-5,
    2.010_334_399_292_288_132_65e-7,
];
const TAIL_Q: [f64; 8] = [
    1.0,
    5.998_322_065_558_879_376_9e-1,
    1.369_298_809_227_358_053_1e-1,
    1.487_536_129_085_061_485_25e-2,
    7.868_691_311_456_132_591e-4,
    1.846_318_317_510_054_681_8e-5,
    1.421_511_758_316_445_888_7e-7,
    2.044_263_103_389_939_785_64e-15,
];

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the system's functions as references")]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// `Φ(Φ⁻¹(u)) = u` to rounding, in the centre, on both sides of every seam, and down to the smallest `u` that is drawn.
    #[test]
    fn it_inverts_the_distribution_function() {
        let cdf = |z: f64| 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
        let mut u: Vec<f64> = (1..2000).map(|i| f64::from(i) / 2000.0).collect();
        u.extend((0..53).map(|k| 0.5 / (1_u64 << k) as f64).flat_map(|u| [u, 1.000_001 * u, 0.75 * u]));
        u.extend([0.075, 0.074_999, 0.925, 0.925_001, (-25.0_f64).exp(), 1.01 * (-25.0_f64).exp()]);
        for u in u {
            let z = inverse_cdf(u);
            // A relative error ε of z is one of z² ε of a tail.
            let tolerance = 1e-15 * (4.0 + z * z);
            assert!((cdf(z) / u - 1.0).abs() < tolerance, "u = {u:e}: z = {z}, Φ(z) = {:e}", cdf(z));
            if u > 1e-3 && u < 0.999 {
                assert!((inverse_cdf(1.0 - u) + z).abs() < 1e-12 * (1.0 + z.abs()), "u = {u:e}");
            }
        }
    }

    #[test]
    fn moments_of_many_samples() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let n = 1_000_000;
        let z: Vec<f64> = StandardNormal.sample_iter(&mut rng).take(n).collect();
        let moment = |k: i32| z.iter().map(|z| z.powi(k)).sum::<f64>() / n as f64;
        // Standard errors 1e-3, 1.4e-3, 3.9e-3, 9.8e-3.
        assert!(moment(1).abs() < 4e-3 && (moment(2) - 1.0).abs() < 6e-3);
        assert!(moment(3).abs() < 1.6e-2 && (moment(4) - 3.0).abs() < 4e-2);
    }

    /// Fixed bits: another machine must draw them.
    #[test]
    fn the_same_numbers_everywhere() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let folded = StandardNormal.sample_iter(&mut rng).take(100_000).fold(0_u64, |hash, z: f64| {
            hash.rotate_left(5) ^ z.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        assert_eq!(folded, 0xbc6f_275b_66ef_6ef9, "{folded:#x}");
    }
}
