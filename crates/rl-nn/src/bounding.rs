//! Where continuous actions meet the action space.

use crate::{Actions, ActionsRef, NnError, Real};

/// How a sample of a policy becomes an action of its environment. Densities, ratios and divergences are always those of the sample.
///
/// Bounds are (lowest, highest) of every action dimension.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Bounding {
    /// It is the action: choices, and reals without bounds.
    #[default]
    Free,
    /// It is limited to the bounds; an open one is `None`.
    Clip {
        /// The bounds.
        bounds: Vec<(Option<f32>, Option<f32>)>,
    },
    /// `low + (high − low) (tanh u + 1) / 2`
    TanhRescale {
        /// The bounds.
        bounds: Vec<(f32, f32)>,
    },
}

impl Bounding {
    /// Limits to bounds, those that are not finite being open.
    pub fn clip(bounds: impl IntoIterator<Item = (f32, f32)>) -> Self {
        let closed = |x: f32| x.is_finite().then_some(x);
        Bounding::Clip { bounds: bounds.into_iter().map(|(low, high)| (closed(low), closed(high))).collect() }
    }

    /// Checks that there is a pair of bounds for every action dimension, in order.
    ///
    /// # Errors
    ///
    /// [`NnError::Shape`] and [`NnError::Saved`].
    pub fn check(&self, action_len: usize) -> Result<(), NnError> {
        let fault = |low: Option<f32>, high: Option<f32>| {
            low.is_some_and(|x| !x.is_finite())
                || high.is_some_and(|x| !x.is_finite())
                || low.zip(high).is_some_and(|(low, high)| low > high)
        };
        let (len, wrong) = match self {
            Bounding::Free => return Ok(()),
            Bounding::Clip { bounds } => (bounds.len(), bounds.iter().copied().find(|b| fault(b.0, b.1))),
            Bounding::TanhRescale { bounds } => {
                let open = bounds.iter().map(|b| (Some(b.0), Some(b.1)));
                (bounds.len(), open.into_iter().find(|b| fault(b.0, b.1)))
            }
        };
        NnError::check("the list of action bounds", len, action_len)?;
        match wrong {
            None => Ok(()),
            Some((low, high)) => {
                Err(NnError::Saved(format!("action bounds {low:?} to {high:?} are not finite and in order")))
            }
        }
    }

    /// The actions of samples, in a buffer that is reused; choices are their own.
    pub fn apply<'a, F: Real>(
        &self,
        samples: ActionsRef<'a, F>,
        buffer: &'a mut Vec<F>,
    ) -> ActionsRef<'a, F> {
        let ActionsRef::Continuous(samples) = samples else { return samples };
        buffer.clear();
        match self {
            Bounding::Free => return ActionsRef::Continuous(samples),
            Bounding::Clip { bounds } => {
                let clip = |(x, (low, high)): (&F, &(Option<f32>, Option<f32>))| {
                    // By comparisons, so that a NaN stays one.
                    let (low, high) = (low.map(of_f32::<F>), high.map(of_f32::<F>));
                    match (low.filter(|low| x < low), high.filter(|high| x > high)) {
                        (Some(low), _) => low,
                        (_, Some(high)) => high,
                        _ => *x,
                    }
                };
                buffer.extend(samples.iter().zip(bounds.iter().cycle()).map(clip));
            }
            Bounding::TanhRescale { bounds } => {
                buffer.extend_from_slice(samples);
                F::tanh_in_place(buffer);
                for (x, &(low, high)) in buffer.iter_mut().zip(bounds.iter().cycle()) {
                    let (low, high) = (of_f32::<F>(low), of_f32::<F>(high));
                    let half = F::narrow(0.5);
                    // Rounding must not leave the bounds.
                    let rescaled = low + (high - low) * (half * *x + half);
                    *x = if rescaled > high { high } else { rescaled };
                }
            }
        }
        ActionsRef::Continuous(buffer)
    }

    /// The same of owned samples.
    pub fn apply_to<F: Real>(&self, samples: Actions<F>) -> Actions<F> {
        let mut buffer = Vec::new();
        match self.apply(samples.as_ref(), &mut buffer) {
            ActionsRef::Continuous(bounded) => Actions::Continuous(bounded.to_vec()),
            ActionsRef::Discrete(_) => samples,
        }
    }
}

fn of_f32<F: Real>(x: f32) -> F {
    F::narrow(f64::from(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_actions_within_the_bounds() {
        let samples = Actions::Continuous(vec![-3.0_f32, 0.5, 3.0, 0.25]);
        let clip = Bounding::clip([(-1.0, 1.0), (f32::NEG_INFINITY, 0.375)]);
        assert_eq!(clip.apply_to(samples.clone()), Actions::Continuous(vec![-1.0, 0.375, 1.0, 0.25]));
        let squash = Bounding::TanhRescale { bounds: vec![(-2.0, 2.0), (0.0, 1.0)] };
        let Actions::Continuous(a) = squash.apply_to(samples.clone()) else { panic!() };
        assert!((a[0] + 1.990_11_f32).abs() < 1e-5 && (a[1] - 0.731_058_6).abs() < 1e-6, "{a:?}");
        let far = squash.apply_to(Actions::Continuous(vec![1e30_f32, -1e30]));
        assert_eq!(far, Actions::Continuous(vec![2.0, 0.0]));
        assert_eq!(Bounding::Free.apply_to(samples.clone()), samples);
        assert!(clip.check(3).is_err() && squash.check(2).is_ok());
        assert!(Bounding::Clip { bounds: vec![(Some(1.0), Some(0.0))] }.check(1).is_err());
        assert!(Bounding::Clip { bounds: vec![(Some(f32::NAN), None)] }.check(1).is_err());
    }
}
