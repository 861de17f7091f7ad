//! The kernels of a minibatch of 64 with layers of 64, and of wide layers, each alone.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use benches::{reals, rng};
use criterion::{Criterion, criterion_group, criterion_main};
use rl_kernels::{Finish, Init, MatRef, Real, StandardNormal};
use rl_nn::{Activation, Buffer};

/// `n` numbers in ±0.1 from a cache line's start.
fn operand(n: usize) -> Buffer<f32> {
    let mut buffer = Buffer::default();
    let small = reals(&mut rng(), n).into_iter().map(|x| 0.1 * x);
    buffer.take(n).iter_mut().zip(small).for_each(|(to, x)| *to = x);
    buffer
}

fn products(c: &mut Criterion) {
    for (m, k, n) in
        [(64, 64, 64), (64, 4, 64), (2, 64, 64), (64, 2, 64), (1024, 1024, 256), (1024, 256, 1024)]
    {
        let [mut a, mut b, mut out, mut values] = [m * k, k * n, m * n, m * n].map(operand);
        let bias = reals(&mut rng(), m);
        let (a, b) = (a.take(m * k), b.take(k * n));
        let (out, values) = (out.take(m * n), values.take(m * n));
        let finishes = [
            ("", Finish::Nothing),
            ("_tanh", Finish::Tanh),
            ("_tanh_derivative", Finish::TanhDerivative(values)),
        ];
        for (name, finish) in finishes {
            c.bench_function(&format!("product/{m}x{k}x{n}{name}"), |bench| {
                let (a, b) = (MatRef::new(a, m, k), MatRef::new(b, k, n));
                bench.iter(|| f32::matmul_finish(out, a, b, Init::RowBias(&bias), finish));
            });
        }
        c.bench_function(&format!("product/{m}x{k}x{n}_transposed"), |bench| {
            let (a, b) = (MatRef::new(a, k, m).t(), MatRef::new(b, k, n));
            bench.iter(|| f32::matmul(out, a, b, Init::Zero));
        });
    }
    let [mut a, mut b] = [operand(2 * 64), operand(64 * 64)];
    let mut out = [0.0; 128];
    c.bench_function("product_of_rows/2x64x64", |bench| {
        bench.iter(|| f32::matmul_nt(&mut out, a.take(128), b.take(4096), 64));
    });
}

fn vectors(c: &mut Criterion) {
    let [mut x, mut y] = [operand(4096), operand(4096)];
    let (x, y) = (x.take(4096), y.take(4096));
    c.bench_function("tanh/4096", |bench| {
        bench.iter(|| {
            y.copy_from_slice(x);
            f32::tanh_in_place(y);
        });
    });
    c.bench_function("exp/4096", |bench| {
        bench.iter(|| {
            y.copy_from_slice(x);
            f32::exp_in_place(y);
        });
    });
    c.bench_function("transpose/64x64", |bench| bench.iter(|| f32::transpose(x, 64, 64, y)));
    c.bench_function("row_sums/64x64", |bench| bench.iter(|| f32::row_sums(&mut y[..64], x)));
    let mut rng = rng();
    c.bench_function("standard_normal", |bench| {
        bench.iter(|| rand_distr::Distribution::<f64>::sample(&StandardNormal, &mut rng));
    });
    for width in [64, 1024] {
        let mut w = vec![0.0_f32; width * width];
        c.bench_function(&format!("orthogonal/{width}"), |bench| {
            bench.iter(|| rl_nn::orthogonal(&mut w, width, width, 1.0, &mut rng));
        });
    }
}

/// Every activation as layers call it, and those whose slopes must be kept with these as well.
fn activations(c: &mut Criterion) {
    let inputs: Vec<f32> = reals(&mut rng(), 4096).into_iter().map(|x| 4.0 * x).collect();
    let [mut y, mut slopes] = [operand(4096), operand(4096)];
    let (y, slopes) = (y.take(4096), slopes.take(4096));
    let all = [
        (Activation::Tanh, false),
        (Activation::Relu, false),
        (Activation::LeakyRelu, false),
        (Activation::Elu, false),
        (Activation::Silu, false),
        (Activation::Silu, true),
        (Activation::Gelu, false),
        (Activation::Gelu, true),
    ];
    for (activation, with_slopes) in all {
        let name = if with_slopes { "_with_slopes" } else { "" };
        c.bench_function(&format!("activation/{activation:?}{name}"), |bench| {
            bench.iter(|| {
                y.copy_from_slice(&inputs);
                activation.of(y, with_slopes.then_some(&mut *slopes));
            });
        });
    }
}

criterion_group!(benches, products, vectors, activations);
criterion_main!(benches);
