//! What a check may find.

use std::fmt;

/// A property that [`check_network`](crate::check_network) found a network not to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which promise.
    pub property: Property,
    /// What was compared.
    pub what: String,
    /// How far apart it is.
    pub distance: f64,
    /// How far apart it may be.
    pub tolerance: f64,
}

/// The properties that every network must have, which [`check_network`](crate::check_network) tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Property {
    /// The layout covers θ, with a name for every tensor.
    Layout,
    /// Numbers are finite and written everywhere; the distance counts those that are not.
    Finite,
    /// A pass sees the θ that was prepared.
    Prepared,
    /// The recorded output is that of a pass.
    RecordedOutput,
    /// Equal calls give equal results.
    Deterministic,
    /// Products with θ do not depend on the input side.
    InputSide,
    /// Forward and reverse mode are adjoint.
    Adjoint,
    /// Forward mode is the derivative.
    Derivative,
    /// Rows do not depend on each other.
    Rows,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let promise = match self.property {
            Property::Layout => "the layout of its parameters is wrong",
            Property::Finite => "numbers are not finite or were not written",
            Property::Prepared => "a pass did not see the parameters that were prepared",
            Property::RecordedOutput => "record and forward differ",
            Property::Deterministic => "the same call gave another result",
            Property::InputSide => "products with the parameters depend on the input side",
            Property::Adjoint => "vjp and jvp are not adjoint",
            Property::Derivative => "jvp is not the derivative",
            Property::Rows => "rows depend on each other",
        };
        let Finding { what, distance, tolerance, .. } = self;
        write!(f, "{promise}: {what} (distance {distance:.1e}, allowed {tolerance:.1e})")
    }
}
