//! What the integration tests share: golden numbers in the scalar type under test, and a network that only a builder can make again.

use std::sync::Arc;

use candle_core::{D, Device, Tensor};
use rl_env::Space;
use rl_nn::{Builders, CandleNetwork, Network, NnError, Real};

/// Rounds a golden array to the scalar type under test.
pub fn narrow<F: Real>(x: &[f64]) -> Vec<F> {
    x.iter().map(|&x| F::narrow(x)).collect()
}

/// Rounds a golden matrix to the scalar type under test, flattened.
pub fn narrow_rows<F: Real>(x: &[Vec<f64>]) -> Vec<F> {
    x.iter().flatten().map(|&x| F::narrow(x)).collect()
}

/// A candle module for CartPole that describes itself by a name: a matrix.
///
/// # Errors
///
/// candle's.
pub fn described_module() -> Result<CandleNetwork, NnError> {
    let net = CandleNetwork::new(4, 2, &Device::Cpu, |vb, x| x.matmul(&vb.get((2, 4), "weight")?.t()?))?;
    Ok(net.described("matrix", serde_json::Value::Null))
}

/// What makes it again.
pub fn builders() -> Builders {
    Builders::default().network("matrix", |_| Ok(Arc::new(described_module()?)))
}

/// A candle module for any observations that does not describe itself: tanh of a matrix times the observation and the squares of its elements.
///
/// # Errors
///
/// candle's.
pub fn crossed(observations: &Space) -> Result<Arc<dyn Network<f32>>, NnError> {
    let n = observations.flat_len();
    let net = CandleNetwork::new(n, 8, &Device::Cpu, move |vb, x| {
        Tensor::cat(&[x, &x.sqr()?], D::Minus1)?.matmul(&vb.get((8, 2 * n), "weight")?.t()?)?.tanh()
    })?;
    Ok(Arc::new(net))
}
