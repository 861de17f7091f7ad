//! Seeded generators: one independent stream for every purpose and index.

use rand::SeedableRng;

/// The generator passed to environments: small, fast, serialisable (xoshiro256++).
pub type EnvRng = rand_xoshiro::Xoshiro256PlusPlus;

/// The generator of stream `index` for `purpose` under `seed`.
///
/// The 256-bit state is the SplitMix64 expansion of a 64-bit hash of the three, so that neighbouring seeds and indices
/// give unrelated streams. The same arguments give the same stream on every machine.
///
/// ```
/// use rand::RngCore;
/// use rl_env::rng::stream;
/// assert_eq!(stream(7, "env", 0).next_u64(), stream(7, "env", 0).next_u64());
/// assert_ne!(stream(7, "env", 0).next_u64(), stream(7, "env", 1).next_u64());
/// assert_ne!(stream(7, "env", 0).next_u64(), stream(7, "action", 0).next_u64());
/// ```
pub fn stream(seed: u64, purpose: &str, index: u64) -> EnvRng {
    // FNV-1a over the name, then one SplitMix64 round for each number.
    let name = purpose
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    EnvRng::seed_from_u64(mix(mix(mix(name) ^ seed) ^ index))
}

/// SplitMix64's output function (Steele, Lea & Flood 2014).
fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
