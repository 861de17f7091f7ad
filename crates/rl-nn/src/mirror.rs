//! The candle side of the flat parameter vector.

use candle_core::{Device, Tensor, Var};

use crate::NnError;

/// A copy of θ in a candle `Var`, refreshed when θ changed: for a user's own losses in candle and as a reference in tests; no algorithm here needs it.
///
/// The host vector is the master copy. [`refresh`](Mirror::refresh) overwrites the `Var`'s storage, which graphs and
/// detached tensors made from it share: take a `Tensor::copy()` of anything that must outlive the next refresh.
#[derive(Debug)]
pub struct Mirror {
    var: Var,
    version: Option<u64>,
}

impl Mirror {
    /// A mirror of θ on a device.
    ///
    /// # Errors
    ///
    /// candle's.
    pub fn new(theta: &[f32], device: &Device) -> Result<Self, NnError> {
        Ok(Mirror { var: Var::from_slice(theta, theta.len(), device)?, version: None })
    }

    /// Copies θ over, unless the mirror already holds `version` of it.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] when the length differs; candle's.
    pub fn refresh(&mut self, theta: &[f32], version: u64) -> Result<&Tensor, NnError> {
        NnError::check("theta", theta.len(), self.var.elem_count())?;
        if self.version != Some(version) {
            self.var.set(&Tensor::from_slice(theta, theta.len(), self.var.device())?)?;
            self.version = Some(version);
        }
        Ok(self.var.as_tensor())
    }

    /// The `Var`, to differentiate with respect to.
    pub fn var(&self) -> &Var {
        &self.var
    }
}
