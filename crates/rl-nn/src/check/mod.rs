//! Whether a network keeps its promises.

mod finding;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rl_kernels::elementary::pow;
use rl_kernels::{Reproducible, dot, sum_of_squares};

pub use self::finding::{Finding, Property};
use crate::{Forward, Linearized, Network, NnError, Real, States, Workspace};

/// The tolerances of [`check_network`]. Distances are relative to the norms of what is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckConfig {
    /// For the directions that are drawn.
    pub seed: u64,
    /// Of `⟨u, J v⟩` from `⟨Jᵀ u, v⟩`, relative to `‖u‖ ‖J v‖ + ‖Jᵀ u‖ ‖v‖`.
    pub adjoint: f64,
    /// Of `J v` from central differences of the network in its own precision.
    pub differences: f64,
    /// Of what differs in the order of sums alone.
    pub rounding: f64,
}

impl CheckConfig {
    /// What exact products keep in this precision: 10⁻⁴, 5·10⁻² and 10⁻⁵ in `f32`, 10⁻¹², 10⁻⁶ and 10⁻¹³ in `f64`.
    pub fn of<F: Real>() -> Self {
        let [adjoint, differences, rounding] =
            if F::epsilon().widen() > 1e-10 { [1e-4, 5e-2, 1e-5] } else { [1e-12, 1e-6, 1e-13] };
        CheckConfig { seed: 0, adjoint, differences, rounding }
    }
}

/// Tests the properties that all users of a network rely on, at θ and for some rows of inputs, and returns those that it lacks: none,
/// for a sound network.
///
/// - The names in its layout differ, and the layout covers θ.
/// - Everything it computes is finite, and written everywhere.
/// - [`forward`](Network::forward) and [`record`](Network::record) give the same bits, for the same θ again and after other ones
///   ([`prepare`](Network::prepare) is honoured), and so do two equal calls (up to rounding, for a network that declares
///   [`Reproducible::No`]).
/// - `⟨u, J v⟩ = ⟨Jᵀ u, v⟩` for parameters and for inputs, and `J v` is the derivative, as central differences have it.
/// - Products with θ do not depend on whether the input side is asked for.
/// - Rows do not depend on each other: one by one they give what they give together, and so does the sum of their gradients.
///
/// Take θ as it is initialised, with biases drawn too, and inputs like an environment's: a network at zero may hide what is wrong, and differences
/// across a kink are wrong themselves.
///
/// ```
/// use rl_nn::{Activation, CheckConfig, Mlp, check_network};
///
/// let net = Mlp::new(&[2, 3, 1], Activation::Tanh)?;
/// let theta: Vec<f64> = (0..13).map(|i| (f64::from(i) * 0.7 - 4.0) / 5.0).collect();
/// let findings = check_network(&net, &theta, &[0.3, -1.2, 0.8, 0.1], &CheckConfig::of::<f64>())?;
/// assert!(findings.is_empty(), "{findings:?}");
/// # Ok::<(), rl_nn::NnError>(())
/// ```
///
/// # Shapes
///
/// `theta` `[n_params]`, `x` `[rows, n_inputs]`, two rows or more.
///
/// # Errors
///
/// [`NnError::Shape`] for slices that do not fit; whatever the network answers with.
pub fn check_network<F: Real>(
    network: &dyn Network<F>,
    theta: &[F],
    x: &[F],
    config: &CheckConfig,
) -> Result<Vec<Finding>, NnError> {
    NnError::check("theta", theta.len(), network.n_params())?;
    let states = States::new(x, network.n_inputs())?;
    if states.rows() < 2 {
        return Err(NnError::Shape {
            what: "the list of rows to check with",
            got: states.rows(),
            expected: 2,
        });
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(config.seed);
    let mut draw = |n: usize| -> Vec<F> { (0..n).map(|_| F::narrow(rng.random_range(-1.0..1.0))).collect() };
    let n_outputs = states.rows() * network.n_outputs();
    let [v, x_dot, dy] = [theta.len(), x.len(), n_outputs].map(&mut draw);
    let point = Point { network, theta, states, v: &v, x_dot: &x_dot, dy: &dy };
    let mut report = Report { findings: Vec::new(), config };
    report.layout(network);
    let products = point.products(&mut Workspace::default())?;
    for (what, values) in products.named() {
        let bad = values.iter().filter(|x| !x.is_finite()).count();
        report.add(Property::Finite, what, bad as f64, 0.0);
    }
    report.same(&point, &products)?;
    report.adjoint(&point, &products);
    report.derivative(&point, &products)?;
    report.rows(&point, &products)?;
    Ok(report.findings)
}

/// A network at θ and x, with directions.
struct Point<'a, F: Real> {
    network: &'a dyn Network<F>,
    theta: &'a [F],
    states: States<'a, F>,
    v: &'a [F],
    x_dot: &'a [F],
    dy: &'a [F],
}

/// What a network computes there.
struct Products<F> {
    y: Vec<F>,
    grad: Vec<F>,
    grad_alone: Vec<F>,
    dx: Vec<F>,
    jv: Vec<F>,
    jv_still: Vec<F>,
    jx: Vec<F>,
    jv_jx: Vec<F>,
}

impl<F> Products<F> {
    fn named(&self) -> [(&'static str, &[F]); 8] {
        [
            ("the recorded output", &self.y),
            ("the gradient", &self.grad),
            ("the gradient without an input side", &self.grad_alone),
            ("the input gradient", &self.dx),
            ("the tangent", &self.jv),
            ("the tangent beside inputs that stand still", &self.jv_still),
            ("the tangent of the inputs alone", &self.jx),
            ("the tangent of both", &self.jv_jx),
        ]
    }
}

impl<F: Real> Point<'_, F> {
    fn products(&self, ws: &mut Workspace<F>) -> Result<Products<F>, NnError> {
        let Point { network, theta, states, v, x_dot, dy } = *self;
        let mut linearized = Linearized::new(network, theta, states, ws)?;
        let y = linearized.output().to_vec();
        NnError::check("the recorded output", y.len(), dy.len())?;
        // What is not written stays NaN.
        let nan = |n: usize| vec![F::nan(); n];
        let (mut grad, mut grad_alone, mut dx) = (nan(v.len()), nan(v.len()), nan(x_dot.len()));
        linearized.vjp(dy, &mut grad_alone, None)?;
        linearized.vjp(dy, &mut grad, Some(&mut dx))?;
        let [mut jv, mut jv_still, mut jx, mut jv_jx] =
            [nan(dy.len()), nan(dy.len()), nan(dy.len()), nan(dy.len())];
        linearized.jvp(v, None, &mut jv)?;
        linearized.jvp(v, Some(&vec![F::zero(); x_dot.len()]), &mut jv_still)?;
        linearized.jvp(&vec![F::zero(); v.len()], Some(x_dot), &mut jx)?;
        linearized.jvp(v, Some(x_dot), &mut jv_jx)?;
        Ok(Products { y, grad, grad_alone, dx, jv, jv_still, jx, jv_jx })
    }

    fn forward(&self, theta: &[F], states: &States<'_, F>, ws: &mut Workspace<F>) -> Result<Vec<F>, NnError> {
        let mut y = vec![F::nan(); states.rows() * self.network.n_outputs()];
        Forward::new(self.network, theta, ws)?.run(states, &mut y)?;
        Ok(y)
    }

    /// `f(θ + h v, x + h ẋ)`
    fn moved(&self, h: f64) -> Result<Vec<F>, NnError> {
        let step = |a: &[F], b: &[F]| -> Vec<F> {
            a.iter().zip(b).map(|(a, b)| F::narrow(a.widen() + h * b.widen())).collect()
        };
        let x = step(self.states.obs(), self.x_dot);
        let states = States::new(&x, self.states.width())?;
        self.forward(&step(self.theta, self.v), &states, &mut Workspace::default())
    }
}

struct Report<'a> {
    findings: Vec<Finding>,
    config: &'a CheckConfig,
}

impl Report<'_> {
    fn add(&mut self, property: Property, what: &str, distance: f64, tolerance: f64) {
        // A NaN is a finding.
        if distance.is_nan() || distance > tolerance {
            self.findings.push(Finding { property, what: what.to_owned(), distance, tolerance });
        }
    }

    fn layout<F: Real>(&mut self, network: &dyn Network<F>) {
        if let Err(error) = crate::network::check_names(&network.shape().layout) {
            self.add(Property::Layout, &error.to_string(), 1.0, 0.0);
        }
        if network.n_params() != network.shape().layout.n_params() {
            self.add(Property::Layout, "n_params is not that of the layout", 1.0, 0.0);
        }
    }

    /// The same again, from a workspace that was used for something else, and forward as recorded.
    fn same<F: Real>(&mut self, point: &Point<'_, F>, products: &Products<F>) -> Result<(), NnError> {
        let foreign = point.network.reproducible() == Reproducible::No;
        let tolerance = if foreign { self.config.rounding } else { 0.0 };
        let mut ws = Workspace::default();
        let first = point.states.slice(0..1);
        let other: Vec<F> = point.theta.iter().zip(point.v).map(|(&t, &v)| t + v).collect();
        // Another θ and other rows before.
        point.forward(&other, &point.states, &mut ws)?;
        let y = point.forward(point.theta, &point.states, &mut ws)?;
        self.add(
            Property::Prepared,
            "the output after one of other parameters",
            distance(&y, &products.y),
            tolerance,
        );
        let one = point.forward(point.theta, &first, &mut Workspace::default())?;
        Linearized::new(point.network, &other, first, &mut ws)?;
        let again = point.forward(point.theta, &first, &mut ws)?;
        self.add(
            Property::Prepared,
            "the output after recording other parameters",
            distance(&again, &one),
            tolerance,
        );
        let fresh = point.forward(point.theta, &point.states, &mut Workspace::default())?;
        self.add(Property::RecordedOutput, "the recorded output", distance(&products.y, &fresh), tolerance);
        let twice = point.products(&mut ws)?;
        for ((what, a), (_, b)) in twice.named().into_iter().zip(products.named()) {
            self.add(Property::Deterministic, what, distance(a, b), tolerance);
        }
        let what = "the gradient with an input side";
        self.add(Property::InputSide, what, distance(&products.grad, &products.grad_alone), tolerance);
        let distance = distance(&products.jv_still, &products.jv);
        self.add(
            Property::InputSide,
            "the tangent beside inputs that stand still",
            distance,
            self.config.rounding,
        );
        Ok(())
    }

    fn adjoint<F: Real>(&mut self, point: &Point<'_, F>, products: &Products<F>) {
        let sides = [
            ("parameters", &products.jv, &products.grad, point.v),
            ("inputs", &products.jx, &products.dx, point.x_dot),
        ];
        for (what, jv, jt_u, v) in sides {
            let scale = norm(point.dy) * norm(jv) + norm(jt_u) * norm(v);
            let distance = (dot(point.dy, jv) - dot(jt_u, v)).abs() / scale.max(f64::MIN_POSITIVE);
            self.add(Property::Adjoint, what, distance, self.config.adjoint);
        }
        let sum: Vec<F> = products.jv.iter().zip(&products.jx).map(|(&a, &b)| a + b).collect();
        let distance = distance(&products.jv_jx, &sum);
        self.add(
            Property::Adjoint,
            "the tangent of both sides and the sum of theirs",
            distance,
            self.config.adjoint,
        );
    }

    /// Central differences with a step of the cube root of the precision, which balances their two errors, and with smaller ones, which are less
    /// likely to step across a kink: a product that is wrong is wrong by all of them.
    fn derivative<F: Real>(&mut self, point: &Point<'_, F>, products: &Products<F>) -> Result<(), NnError> {
        let mut nearest = f64::INFINITY;
        for part in [1.0, 16.0, 256.0] {
            let h = pow(F::epsilon().widen(), 1.0 / 3.0) / part;
            let (plus, minus) = (point.moved(h)?, point.moved(-h)?);
            let differences =
                plus.iter().zip(&minus).map(|(p, m)| F::narrow((p.widen() - m.widen()) / (2.0 * h)));
            nearest = nearest.min(distance(&products.jv_jx, &differences.collect::<Vec<F>>()));
        }
        self.add(Property::Derivative, "the tangent", nearest, self.config.differences);
        Ok(())
    }

    fn rows<F: Real>(&mut self, point: &Point<'_, F>, products: &Products<F>) -> Result<(), NnError> {
        let (mut ws, mut y) = (Workspace::default(), Vec::new());
        let (mut grad, mut sum) = (vec![F::zero(); point.v.len()], vec![F::zero(); point.v.len()]);
        for r in 0..point.states.rows() {
            let row = point.states.slice(r..r + 1);
            y.extend(point.forward(point.theta, &row, &mut ws)?);
            let n = point.network.n_outputs();
            let mut linearized = Linearized::new(point.network, point.theta, row, &mut ws)?;
            linearized.vjp(&point.dy[r * n..(r + 1) * n], &mut grad, None)?;
            rl_kernels::add(&mut sum, &grad);
        }
        let rounding = self.config.rounding;
        self.add(Property::Rows, "the outputs", distance(&y, &products.y), rounding);
        // The sum over rows has cancellations that a row's output has not.
        self.add(
            Property::Rows,
            "the gradients",
            distance(&sum, &products.grad),
            self.config.adjoint.max(rounding),
        );
        Ok(())
    }
}

fn norm<F: Real>(x: &[F]) -> f64 {
    sum_of_squares(x).sqrt()
}

/// `‖a − b‖ / ‖b‖`, or `‖a‖` where `b` is zero.
fn distance<F: Real>(a: &[F], b: &[F]) -> f64 {
    let difference: f64 =
        a.iter().zip(b).map(|(a, b)| (a.widen() - b.widen()) * (a.widen() - b.widen())).sum();
    let scale = norm(b);
    if scale > 0.0 { difference.sqrt() / scale } else { difference.sqrt() }
}
