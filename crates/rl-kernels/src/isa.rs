//! The instruction set that kernels run with: the one place where it is chosen.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

use pulp::{Simd, WithSimd};

/// An instruction set that the kernels are compiled for. It decides how fast they are; their results are the same bits.
///
/// # Example
///
/// ```
/// use rl_kernels::Isa;
///
/// assert!(Isa::available().contains(&Isa::active()));
/// assert_eq!("portable".parse::<Isa>()?, Isa::Portable);
/// assert!("sse9".parse::<Isa>().is_err());
/// # Ok::<(), rl_kernels::IsaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Isa {
    /// One number at a time, on any processor; a fused multiply-add is computed in software where there is no instruction for it.
    Portable = 1,
    /// 128-bit vectors of aarch64.
    Neon,
    /// 256-bit vectors and fused multiply-adds of x86-64.
    Avx2,
    /// 512-bit vectors of x86-64.
    Avx512,
}

/// An instruction set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// No instruction set has this name.
    #[error("no instruction set is called {got:?}; expected one of {}", names(&Isa::ALL))]
    Unknown {
        /// The name.
        got: String,
    },
    /// This processor does not have it.
    #[error("this processor does not have the instruction set {isa}; it has {}", names(&Isa::available()))]
    Missing {
        /// The instruction set.
        isa: Isa,
    },
}

fn names(isas: &[Isa]) -> String {
    isas.iter().map(Isa::to_string).collect::<Vec<_>>().join(", ")
}

/// The chosen one as a number, 0 before any was.
static ACTIVE: AtomicU8 = AtomicU8::new(0);

impl Isa {
    /// All of them, from the slowest to the fastest.
    pub const ALL: [Isa; 4] = [Isa::Portable, Isa::Neon, Isa::Avx2, Isa::Avx512];

    /// Those that this processor has, from the slowest to the fastest.
    #[must_use]
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => pulp::aarch64::Neon::try_new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => pulp::x86::V3::try_new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => pulp::x86::V4::try_new().is_some(),
            #[allow(unreachable_patterns, reason = "which are left depends on the architecture")]
            _ => false,
        }
    }

    /// The instruction set that kernels use in this process: the fastest available, unless [`select`](Isa::select) chose another.
    #[inline]
    #[must_use]
    pub fn active() -> Isa {
        match ACTIVE.load(Ordering::Relaxed) {
            1 => Isa::Portable,
            2 => Isa::Neon,
            3 => Isa::Avx2,
            4 => Isa::Avx512,
            _ => Isa::detect(),
        }
    }

    #[cold]
    fn detect() -> Isa {
        let best = Isa::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Isa::Portable);
        // Another thread may have selected one in the meantime: that one stays.
        let _ = ACTIVE.compare_exchange(0, best as u8, Ordering::Relaxed, Ordering::Relaxed);
        best
    }

    /// Makes every kernel of this process use it from now on. No result changes.
    ///
    /// # Errors
    ///
    /// [`IsaError::Missing`] when this processor does not have it; nothing has changed then.
    pub fn select(self) -> Result<(), IsaError> {
        if !self.is_available() {
            return Err(IsaError::Missing { isa: self });
        }
        ACTIVE.store(self as u8, Ordering::Relaxed);
        Ok(())
    }

    /// Runs a kernel compiled for this instruction set, or portable code where the processor does not have it.
    #[inline(always)]
    pub fn dispatch<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => match pulp::x86::V4::try_new() {
                Some(simd) => Simd::vectorize(
                    simd,
                    #[inline(always)]
                    || op.with_simd(simd),
                ),
                None => op.with_simd(pulp::Scalar),
            },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => match pulp::x86::V3::try_new() {
                Some(simd) => Simd::vectorize(
                    simd,
                    #[inline(always)]
                    || op.with_simd(simd),
                ),
                None => op.with_simd(pulp::Scalar),
            },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => match pulp::aarch64::Neon::try_new() {
                Some(simd) => Simd::vectorize(
                    simd,
                    #[inline(always)]
                    || op.with_simd(simd),
                ),
                None => op.with_simd(pulp::Scalar),
            },
            _ => op.with_simd(pulp::Scalar),
        }
    }
}

impl Isa {
    /// [`dispatch`](Isa::dispatch) with vectors of sixteen `f32` (eight `f64`) on every instruction set, made of several registers where those are
    /// narrower: for sums, whose partial sums are the lanes. (pulp 0.22's masked and partial loads of such vectors are wrong on AVX2: pad
    /// instead.)
    #[inline(always)]
    pub(crate) fn dispatch_wide<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => match pulp::x86::V4::try_new() {
                Some(simd) => Simd::vectorize(
                    simd,
                    #[inline(always)]
                    || op.with_simd(simd),
                ),
                None => op.with_simd(pulp::Scalar512b),
            },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => match pulp::x86::V3::try_new() {
                Some(simd) => Simd::vectorize(
                    simd,
                    #[inline(always)]
                    || op.with_simd(pulp::x86::V3_512b(simd)),
                ),
                None => op.with_simd(pulp::Scalar512b),
            },
            _ => op.with_simd(pulp::Scalar512b),
        }
    }

    /// [`vectorize`] for this instruction set.
    #[inline(always)]
    pub fn vectorize<R>(self, body: impl FnOnce() -> R) -> R {
        struct Body<F>(F);
        impl<R, F: FnOnce() -> R> WithSimd for Body<F> {
            type Output = R;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> R {
                (self.0)()
            }
        }
        self.dispatch(Body(body))
    }
}

/// Runs a kernel with the active instruction set.
#[inline(always)]
pub fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    Isa::active().dispatch(op)
}

/// Runs a loop that the compiler turns into vector code, compiled for the active instruction set. The closure must be
/// `#[inline(always)]`. Multiplications and additions stay as they are written: `a * b + c` is rounded twice, `mul_add` once.
#[inline(always)]
pub fn vectorize<R>(body: impl FnOnce() -> R) -> R {
    Isa::active().vectorize(body)
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(s: &str) -> Result<Isa, IsaError> {
        let found = Isa::ALL.into_iter().find(|isa| isa.to_string() == s);
        found.ok_or_else(|| IsaError::Unknown { got: s.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_round_and_portable_is_always_there() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse::<Isa>(), Ok(isa));
        }
        assert_eq!(Isa::available().first(), Some(&Isa::Portable));
    }

    #[test]
    fn one_that_is_missing_is_refused_and_changes_nothing() {
        let before = Isa::active();
        for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_available()) {
            assert_eq!(isa.select(), Err(IsaError::Missing { isa }));
        }
        assert_eq!(Isa::active(), before);
    }
}
