//! Optimisation over plain vectors: conjugate gradient over linear operators, backtracking line search, Adam,
//! schedules.
//!
//! A trust-region step is made of these parts: an operator `v ↦ Fv` ([`GaussNewton`] as it is written down, a policy's own
//! as it is fast, [`HessianVectorProduct`] as its check), [`Damped`]; [`conjugate_gradient`] to solve `Fx = g`; [`backtracking_line_search`] along `x`. A first-order step is
//! [`clip_grad_norm`] and [`Adam`], its rate from a [`Schedule`].
//!
//! Vectors are `f32` or `f64`; dot products accumulate in f64, in a fixed order, so the same input gives the same bits.
//! What an algorithm may run into (negative curvature, no step accepted) is an outcome in what it returns, not an error.
//!
//! # Invariant
//!
//! This crate knows vectors and operators, not policies, networks or environments.

mod adam;
mod clip;
mod conjugate_gradient;
mod element;
mod error;
mod gauss_newton;
mod hessian_vector;
mod line_search;
mod operator;
mod schedule;
pub mod vector;

pub use adam::{Adam, AdamParams};
pub use clip::{clip_grad_norm, clip_scale};
pub use conjugate_gradient::{CgInfo, CgParams, CgStop, CgWorkspace, conjugate_gradient};
pub use element::Element;
pub use error::OptimError;
pub use gauss_newton::{GaussNewton, Jacobian};
pub use hessian_vector::HessianVectorProduct;
pub use line_search::{Accepted, LineSearchInfo, LineSearchParams, Trial, Verdict, backtracking_line_search};
pub use operator::{Damped, FnOperator, LinearOperator, quadratic_form};
pub use schedule::{Curve, CustomSchedule, Moment, Schedule};

#[cfg(test)]
use rl_test_support as _;
