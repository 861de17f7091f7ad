//! What actions are drawn with.

/// The generator that actions are drawn from: one for every row.
pub type SampleRng = rand_xoshiro::Xoshiro256PlusPlus;

/// Generators, one a row, and what a distribution keeps of their draws from step to step: nothing, for most of them.
///
/// Noise that lives longer than a step ([`Gsde`](super::Gsde)) is part of what the next bit depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise<F> {
    /// One generator a row.
    pub rngs: Vec<SampleRng>,
    /// What the distribution keeps.
    pub state: Vec<F>,
    /// Steps since it last began anew.
    pub age: u64,
    /// Whether what is drawn at the beginning is kept for good.
    pub kept: bool,
}

impl<F> Noise<F> {
    /// Noise from these generators, at its beginning.
    pub fn new(rngs: Vec<SampleRng>) -> Self {
        Noise { rngs, state: Vec::new(), age: 0, kept: false }
    }

    /// The same, whose first draw is kept for good: how a sampled evaluation goes through an episode.
    pub fn kept(rngs: Vec<SampleRng>) -> Self {
        Noise { kept: true, ..Noise::new(rngs) }
    }

    /// Begins anew at the next draw, as every rollout does.
    pub fn begin(&mut self) {
        self.age = 0;
    }
}
