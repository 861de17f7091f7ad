//! The entropy of a squashed normal.

use super::location::Located;
use crate::Real;

/// Nodes above 0 of Gauss-Hermite quadrature with 20 nodes, and their weights under the standard normal.
const NODES: [(f64, f64); 10] = [
    (0.3469641570813559, 0.2607930634495548),
    (1.042945348802751, 0.16173933398400003),
    (1.7452473208141268, 0.06150637206397696),
    (2.458663611172368, 0.013997837447100996),
    (3.1890148165533896, 0.0018301031310804924),
    (3.9439673506573163, 0.00012882627996192942),
    (4.734581334046055, 4.4021210902308646e-06),
    (5.5787388058932015, 6.127490259982928e-08),
    (6.510590157013654, 2.4820623623151797e-10),
    (7.619048541679758, 1.2578006724379264e-13),
];

/// `E[log(1 − tanh²u)]`, `u = μ + σz`, of every row and dimension.
///
/// `log(1 − tanh²u) = 2 (log 2 − |u| − log(1 + e^{−2|u|}))`, which neither cancels nor overflows.
pub(super) fn log_slope<F: Real>(at: &Located<F>) -> Vec<F> {
    let mut sum = vec![F::zero(); at.mean.len()];
    for_nodes(at, |weight, _, u| {
        let mut e: Vec<F> = u.iter().map(|u| F::narrow(-2.0) * u.abs()).collect();
        F::exp_in_place(&mut e);
        e.iter_mut().for_each(|e| *e += F::one());
        F::ln_in_place(&mut e);
        let constant = F::narrow(std::f64::consts::LN_2);
        for (sum, (u, e)) in sum.iter_mut().zip(u.iter().zip(&e)) {
            *sum += weight * F::narrow(2.0) * (constant - u.abs() - *e);
        }
    });
    sum
}

/// Adds `w` times its gradient: `E[−2 tanh u]` with respect to μ, `E[−2 σz tanh u]` with respect to log σ.
pub(super) fn add_gradient<F: Real>(at: &Located<F>, w: F, d_mean: &mut [F], d_log_std: &mut [F]) {
    for_nodes(at, |weight, z, u| {
        F::tanh_in_place(u);
        let scale = F::narrow(-2.0) * w * weight;
        for (k, tanh) in u.iter().enumerate() {
            d_mean[k] += scale * *tanh;
            d_log_std[k] += scale * z / at.inv_std[k] * *tanh;
        }
    });
}

/// Runs `each` with every node's weight and abscissa and its `u` of every row and dimension.
fn for_nodes<F: Real>(at: &Located<F>, mut each: impl FnMut(F, F, &mut [F])) {
    let mut u = vec![F::zero(); at.mean.len()];
    for (node, weight) in NODES {
        for z in [-node, node].map(F::narrow) {
            for (k, u) in u.iter_mut().enumerate() {
                *u = at.mean[k] + z / at.inv_std[k];
            }
            each(F::narrow(weight), z, &mut u);
        }
    }
}
