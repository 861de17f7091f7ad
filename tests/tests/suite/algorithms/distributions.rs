//! What every action distribution must satisfy, whatever its formulas: gradients are those of differences, the Fisher metric is the Hessian of the
//! divergence at equality and the expected outer product of scores, samples follow the density, and extreme parameters give numbers.

#![allow(clippy::disallowed_methods, reason = "the system's functions as references")]
#![allow(clippy::float_cmp, reason = "what must be the same is the same to the bit")]

use rand::{Rng, SeedableRng};
use rl_env::EnvRng;
use rl_nn::distribution::{
    Bernoulli, Categorical, DiagGaussian, FreeGaussian, Gsde, MultiCategorical, Noise, SampleRng,
    StateGaussian, k1, k3, sampled_kl,
};
use rl_nn::{Actions, ActionsRef, DistGrad, DistParams, Distribution, Evaluation};

const ROWS: usize = 5;

/// A distribution, and how many of its outputs are detached: no gradient reaches them, and they are the same in differences.
struct Case {
    name: &'static str,
    dist: Box<dyn Distribution<f64>>,
    detached: usize,
    /// Elements of a mask.
    mask: usize,
    squashed: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, dist: Box<dyn Distribution<f64>>, mask| Case {
        name,
        dist,
        detached: 0,
        mask,
        squashed: false,
    };
    let gsde = |squashed| Case {
        name: "gsde",
        dist: Box::new(Gsde::new(2, 4, Some(3)).squashed(squashed)),
        detached: 4,
        mask: 0,
        squashed,
    };
    let squashed = |name, dist| Case { squashed: true, ..case(name, dist, 0) };
    vec![
        case("categorical", Box::new(Categorical { n: 4 }), 4),
        case("multi-categorical", Box::new(MultiCategorical::new(&[3, 1, 4])), 8),
        case("bernoulli", Box::new(Bernoulli::new(3)), 6),
        case("diagonal gaussian", Box::new(DiagGaussian { dim: 3 }), 0),
        case("free gaussian", Box::new(FreeGaussian::new(3)), 0),
        case("state gaussian", Box::new(StateGaussian::new(2)), 0),
        squashed("squashed free gaussian", Box::new(FreeGaussian::new(2).squashed(true))),
        squashed("squashed state gaussian", Box::new(StateGaussian::new(2).squashed(true))),
        gsde(false),
        gsde(true),
    ]
}

fn draw(rng: &mut EnvRng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Parameters of a batch, owned.
#[derive(Clone)]
struct Point {
    y: Vec<f64>,
    globals: Vec<f64>,
}

impl Point {
    fn new(dist: &dyn Distribution<f64>, rng: &mut EnvRng) -> Self {
        Point { y: draw(rng, ROWS * dist.n_outputs()), globals: draw(rng, dist.n_globals()) }
    }

    fn params(&self) -> DistParams<'_, f64> {
        DistParams { y: &self.y, globals: &self.globals }
    }

    /// The same moved by `h` along a direction, but for detached outputs.
    fn moved(&self, case: &Case, (dy, dglobals): (&[f64], &[f64]), h: f64) -> Self {
        let n = case.dist.n_outputs();
        let attached = |k: usize| k % n < n - case.detached;
        let y = self.y.iter().zip(dy).enumerate().map(|(k, (y, d))| if attached(k) { y + h * d } else { *y });
        Point { y: y.collect(), globals: self.globals.iter().zip(dglobals).map(|(g, d)| g + h * d).collect() }
    }

    /// With a mask that forbids about a third of the choices, and never all.
    fn masked(mut self, case: &Case, rng: &mut EnvRng) -> (Self, Vec<bool>) {
        loop {
            let mask: Vec<bool> = (0..ROWS * case.mask).map(|_| rng.random_range(0..3) > 0).collect();
            let mut y = self.y.clone();
            if case.dist.mask(&mask, &mut y).is_ok() {
                self.y = y;
                return (self, mask);
            }
        }
    }
}

fn sample(
    dist: &dyn Distribution<f64>,
    p: DistParams<'_, f64>,
    rows: usize,
    seed: u64,
) -> (Actions<f64>, Vec<f64>) {
    let rngs: Vec<SampleRng> = (0..rows).map(|i| rl_env::rng::stream(seed, "test", i as u64)).collect();
    let (mut actions, mut log_probs) = (dist.new_actions(), vec![0.0; rows]);
    dist.sample(p, &mut Noise::new(rngs), &mut actions, &mut log_probs).unwrap();
    (actions, log_probs)
}

fn per_row(f: impl FnOnce(&mut [f64])) -> Vec<f64> {
    let mut out = vec![f64::NAN; ROWS];
    f(&mut out);
    out
}

/// A gradient of a sum over rows against central differences along random directions, at several points.
fn against_differences(
    case: &Case,
    what: &str,
    point: &Point,
    rng: &mut EnvRng,
    f: impl Fn(&Point) -> f64,
    grad: impl FnOnce(DistGrad<'_, f64>),
) {
    let (mut y, mut globals) = (vec![0.0; point.y.len()], vec![0.0; point.globals.len()]);
    grad(DistGrad { y: &mut y, globals: &mut globals });
    assert!(y.iter().chain(&globals).all(|g| g.is_finite()), "{}: {what}: {y:?} {globals:?}", case.name);
    for _ in 0..4 {
        let (dy, dglobals) = (draw(rng, y.len()), draw(rng, globals.len()));
        let h = 1e-5;
        let ahead = f(&point.moved(case, (&dy, &dglobals), h));
        let behind = f(&point.moved(case, (&dy, &dglobals), -h));
        let along: f64 = y.iter().zip(&dy).chain(globals.iter().zip(&dglobals)).map(|(g, d)| g * d).sum();
        let difference = (ahead - behind) / (2.0 * h);
        let scale = 1.0 + along.abs();
        assert!((along - difference).abs() < 1e-7 * scale, "{}: {what}: {along} {difference}", case.name);
    }
}

/// Every gradient, masked or not, and the score with what becomes of it.
#[test]
fn gradients_are_those_of_differences() {
    let mut rng = EnvRng::seed_from_u64(11);
    for case in cases() {
        for masked in [false, true] {
            let (mut old, mut new) = (Point::new(&*case.dist, &mut rng), Point::new(&*case.dist, &mut rng));
            if masked {
                if case.mask == 0 {
                    continue;
                }
                let mask;
                (old, mask) = old.masked(&case, &mut rng);
                case.dist.mask(&mask, &mut new.y).unwrap();
            }
            let dist = &*case.dist;
            let (actions, log_probs) = sample(dist, old.params(), ROWS, 3);
            let a = actions.as_ref();
            assert_eq!(
                per_row(|out| dist.log_prob(old.params(), a, out).unwrap()),
                log_probs,
                "{}",
                case.name
            );
            let w = draw(&mut rng, ROWS);
            let weighted = |p: &Point| -> f64 {
                per_row(|out| dist.log_prob(p.params(), a, out).unwrap())
                    .iter()
                    .zip(&w)
                    .map(|(x, w)| x * w)
                    .sum()
            };
            against_differences(&case, "log-probability", &new, &mut rng, weighted, |grad| {
                dist.log_prob_grad(new.params(), a, &w, grad).unwrap();
            });
            against_differences(&case, "scores", &new, &mut rng, weighted, |grad| {
                let mut scores = vec![0.0; ROWS * dist.n_scores()];
                let (mut log_prob, mut entropy) = (vec![0.0; ROWS], vec![0.0; ROWS]);
                let score = Some(DistGrad { y: grad.y, globals: &mut scores });
                let out = Evaluation { log_prob: &mut log_prob, entropy: &mut entropy, score };
                dist.evaluate(new.params(), a, out).unwrap();
                assert_eq!(log_prob, per_row(|out| dist.log_prob(new.params(), a, out).unwrap()));
                assert_eq!(entropy, per_row(|out| dist.entropy(new.params(), out).unwrap()));
                for (row, w) in grad.y.chunks_mut(dist.n_outputs()).zip(&w) {
                    row.iter_mut().for_each(|score| *score *= w);
                }
                dist.add_scores(new.params(), &scores, &w, grad.globals).unwrap();
            });
            let entropy =
                |p: &Point| -> f64 { per_row(|out| dist.entropy(p.params(), out).unwrap()).iter().sum() };
            against_differences(&case, "entropy", &new, &mut rng, entropy, |grad| {
                dist.entropy_grad(new.params(), 1.0, grad).unwrap();
            });
            let kl = |p: &Point| -> f64 {
                per_row(|out| dist.kl(old.params(), p.params(), out).unwrap()).iter().sum()
            };
            against_differences(&case, "KL", &new, &mut rng, kl, |grad| {
                dist.kl_grad(old.params(), new.params(), 1.0, grad).unwrap();
            });
            let kls = per_row(|out| dist.kl(old.params(), new.params(), out).unwrap());
            assert!(
                kls.iter().all(|kl| *kl >= 0.0) && kls.iter().any(|kl| *kl > 1e-3),
                "{}: {kls:?}",
                case.name
            );
            let none = per_row(|out| dist.kl(old.params(), old.params(), out).unwrap());
            assert_eq!(none, [0.0; ROWS], "{}", case.name);
        }
    }
}

/// `v ↦ M v` is the derivative of the divergence's gradient at equality: a Hessian, by differences of a gradient that was checked itself.
#[test]
fn the_metric_is_the_hessian_of_the_divergence() {
    let mut rng = EnvRng::seed_from_u64(12);
    for case in cases() {
        for masked in [false, true].into_iter().take(1 + usize::from(case.mask > 0)) {
            let dist = &*case.dist;
            let mut p = Point::new(dist, &mut rng);
            if masked {
                p = p.masked(&case, &mut rng).0;
            }
            let (v_y, v_globals) = (draw(&mut rng, p.y.len()), draw(&mut rng, p.globals.len()));
            let gradient_at = |q: &Point| {
                let (mut y, mut globals) = (vec![0.0; q.y.len()], vec![0.0; q.globals.len()]);
                let grad = DistGrad { y: &mut y, globals: &mut globals };
                dist.kl_grad(p.params(), q.params(), 1.0, grad).unwrap();
                [y, globals].concat()
            };
            let h = 1e-5;
            let ahead = gradient_at(&p.moved(&case, (&v_y, &v_globals), h));
            let behind = gradient_at(&p.moved(&case, (&v_y, &v_globals), -h));
            let (mut y, mut globals) = (v_y.clone(), v_globals.clone());
            dist.fisher(p.params(), 1.0, DistGrad { y: &mut y, globals: &mut globals }).unwrap();
            let product = [y, globals].concat();
            for ((ahead, behind), m) in ahead.iter().zip(&behind).zip(&product) {
                let hessian = (ahead - behind) / (2.0 * h);
                assert!((hessian - m).abs() < 1e-7 * (1.0 + m.abs()), "{}: {hessian} {m}", case.name);
            }
            // Symmetric, and positive as far as it is not 0.
            let v = [v_y, v_globals].concat();
            let along: f64 = v.iter().zip(&product).map(|(v, m)| v * m).sum();
            assert!(along > 1e-3, "{}: {along}", case.name);
            let (mut u_y, mut u_globals) = (draw(&mut rng, p.y.len()), draw(&mut rng, p.globals.len()));
            let u = [u_y.clone(), u_globals.clone()].concat();
            dist.fisher(p.params(), 1.0, DistGrad { y: &mut u_y, globals: &mut u_globals }).unwrap();
            let mu = [u_y, u_globals].concat();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert!((dot(&u, &product) - dot(&mu, &v)).abs() < 1e-11, "{}", case.name);
        }
    }
}

/// Many draws from one state: frequencies are the probabilities, moments those of the normal; the mean of −log π is the entropy, the mean of
/// log(π_old/π_new) the divergence, and so are the estimators k1, k3 and that of M sampled actions.
#[test]
fn samples_follow_the_density() {
    const N: usize = 40_000;
    let mut rng = EnvRng::seed_from_u64(13);
    for case in cases() {
        let dist = &*case.dist;
        let n = dist.n_outputs();
        let (old, new) = (Point::new(dist, &mut rng), Point::new(dist, &mut rng));
        let repeat = |p: &Point| Point { y: p.y[..n].repeat(N), globals: p.globals.clone() };
        let (old, new) = (repeat(&old), repeat(&new));
        let (actions, log_old) = sample(dist, old.params(), N, 7);
        let mut log_new = vec![0.0; N];
        dist.log_prob(new.params(), actions.as_ref(), &mut log_new).unwrap();
        let mut one = vec![0.0; N];

        let (mean, error) = mean_and_error(&log_old.iter().map(|x| -x).collect::<Vec<_>>());
        dist.entropy(old.params(), &mut one).unwrap();
        if !case.squashed {
            assert!((mean - one[0]).abs() < 4.5 * error, "{}: {mean} ± {error}, {}", case.name, one[0]);
        } else {
            // The entropy of tanh(u) has E[log(1 − tanh²u)] beside it.
            let Actions::Continuous(u) = &actions else { panic!() };
            let dim = dist.action_len();
            let full = |(b, log_old): (usize, &f64)| {
                let slopes = u[b * dim..(b + 1) * dim].iter().map(|u| (1.0 - u.tanh().powi(2)).ln());
                -log_old + slopes.sum::<f64>()
            };
            let (mean, error) = mean_and_error(&log_old.iter().enumerate().map(full).collect::<Vec<_>>());
            assert!(
                (mean - one[0]).abs() < 4.5 * error + 1e-4,
                "{}: {mean} ± {error}, {}",
                case.name,
                one[0]
            );
        }

        dist.kl(old.params(), new.params(), &mut one).unwrap();
        let log_ratios: Vec<f64> = log_new.iter().zip(&log_old).map(|(new, old)| new - old).collect();
        let (mean, error) = mean_and_error(&log_ratios.iter().map(|x| -x).collect::<Vec<_>>());
        assert!((mean - one[0]).abs() < 4.5 * error, "{}: {mean} ± {error}, {}", case.name, one[0]);
        assert!((k1(&log_ratios) - mean).abs() < 1e-12);
        let terms: Vec<f64> = log_ratios.iter().map(|x| x.exp_m1() - x).collect();
        let (mean, error) = mean_and_error(&terms);
        assert!((k3(&log_ratios) - mean).abs() < 1e-12 && mean > 0.0);
        assert!((mean - one[0]).abs() < 5.0 * error, "{}: k3 {mean} ± {error}, {}", case.name, one[0]);

        let few = 20;
        let of = |p: &Point| Point { y: p.y[..few * n].to_vec(), globals: p.globals.clone() };
        let rngs = (0..few).map(|i| rl_env::rng::stream(8, "test", i as u64)).collect();
        let mut estimates = vec![0.0; few];
        sampled_kl(dist, of(&old).params(), of(&new).params(), 500, rngs, &mut estimates).unwrap();
        let (mean, error) = mean_and_error(&estimates);
        assert!((mean - one[0]).abs() < 5.0 * error, "{}: M samples {mean} ± {error}, {}", case.name, one[0]);

        if let Actions::Discrete(actions) = &actions {
            frequencies(&case, &old, actions, N);
        }
    }
}

/// Every first action's share is its probability.
fn frequencies(case: &Case, p: &Point, actions: &[usize], n: usize) {
    let (dist, width) = (&*case.dist, case.dist.action_len());
    let rows: Vec<&[usize]> = actions.chunks(width).take(200).collect();
    for &action in &rows[..10] {
        let count = actions.chunks(width).filter(|other| *other == action).count() as f64;
        let mut log_prob = [0.0];
        let one = DistParams { y: &p.y[..dist.n_outputs()], globals: &p.globals };
        dist.log_prob(one, ActionsRef::Discrete(action), &mut log_prob).unwrap();
        let p = log_prob[0].exp();
        let error = (p * (1.0 - p) / n as f64).sqrt();
        assert!(
            (count / n as f64 - p).abs() < 4.5 * error,
            "{}: {action:?}: {} {p}",
            case.name,
            count / n as f64
        );
    }
}

fn mean_and_error(xs: &[f64]) -> (f64, f64) {
    let n = xs.len() as f64;
    let mean = xs.iter().sum::<f64>() / n;
    let variance = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// Logits of ±1e4 and −∞, log standard deviations from −20 to 2: everything stays a number, and divergences stay above 0.
#[test]
fn extreme_parameters_give_numbers() {
    let mut rng = EnvRng::seed_from_u64(14);
    for case in cases() {
        let dist = &*case.dist;
        for trial in 0..40 {
            let extreme = |rng: &mut EnvRng, wild: f64| [-wild, 0.0, wild, 1.0][rng.random_range(0..4)];
            let point = |rng: &mut EnvRng| {
                let is_gaussian = matches!(dist.new_actions(), Actions::Continuous(_));
                let wild = if is_gaussian { 20.0 } else { 1e4 };
                let mut p = Point::new(dist, rng);
                p.y.iter_mut().for_each(|y| *y = extreme(rng, wild));
                p.globals.iter_mut().for_each(|g| *g = [-20.0, -5.0, 0.0, 2.0][rng.random_range(0..4)]);
                p
            };
            let (mut old, mut new) = (point(&mut rng), point(&mut rng));
            if case.mask > 0 && trial % 2 == 0 {
                let mask;
                (old, mask) = old.masked(&case, &mut rng);
                dist.mask(&mask, &mut new.y).unwrap();
            }
            let (actions, log_probs) = sample(dist, old.params(), ROWS, trial);
            assert!(log_probs.iter().all(|x| x.is_finite()), "{}", case.name);
            let h = per_row(|out| dist.entropy(old.params(), out).unwrap());
            assert!(h.iter().all(|h| h.is_finite()), "{}: {h:?}", case.name);
            let kl = per_row(|out| dist.kl(old.params(), new.params(), out).unwrap());
            assert!(kl.iter().all(|kl| !kl.is_nan() && *kl >= 0.0), "{}: {kl:?}", case.name);
            let (mut y, mut globals) = (vec![0.0; old.y.len()], vec![0.0; old.globals.len()]);
            dist.entropy_grad(old.params(), 1.0, DistGrad { y: &mut y, globals: &mut globals }).unwrap();
            dist.log_prob_grad(
                old.params(),
                actions.as_ref(),
                &[1.0; ROWS],
                DistGrad { y: &mut y, globals: &mut globals },
            )
            .unwrap();
            assert!(y.iter().chain(&globals).all(|g| !g.is_nan()), "{}", case.name);
            dist.fisher(old.params(), 1.0, DistGrad { y: &mut y, globals: &mut globals }).unwrap();
            assert!(y.iter().chain(&globals).all(|g| !g.is_nan()), "{}", case.name);
        }
    }
}

/// A choice that a mask leaves alone contributes exactly nothing: no log-probability, entropy, divergence, gradient or curvature.
#[test]
fn a_forced_choice_contributes_nothing() {
    let y = [0.3, -0.7, 1.1];
    let bits = Bernoulli::new(3);
    // The second bit must be 1, the third 0.
    let mut masked = y;
    bits.mask(&[true, true, false, true, true, false], &mut masked).unwrap();
    let alone = Bernoulli::new(1);
    fn params(y: &[f64]) -> DistParams<'_, f64> {
        DistParams { y, globals: &[] }
    }
    for bit in [0, 1] {
        let value = |dist: &Bernoulli, y: &[f64], a: &[usize]| {
            let (mut log_prob, mut h, mut kl) = ([0.0], [0.0], [0.0]);
            dist.log_prob(params(y), ActionsRef::Discrete(a), &mut log_prob).unwrap();
            dist.entropy(params(y), &mut h).unwrap();
            dist.kl(params(y), params(y), &mut kl).unwrap();
            let mut g = vec![0.0; y.len()];
            dist.log_prob_grad(
                params(y),
                ActionsRef::Discrete(a),
                &[1.0],
                DistGrad { y: &mut g, globals: &mut [] },
            )
            .unwrap();
            dist.entropy_grad(params(y), 1.0, DistGrad { y: &mut g, globals: &mut [] }).unwrap();
            let mut t = vec![1.0; y.len()];
            dist.fisher(params(y), 1.0, DistGrad { y: &mut t, globals: &mut [] }).unwrap();
            (log_prob, h, kl, g, t)
        };
        let (all, one) = (value(&bits, &masked, &[bit, 1, 0]), value(&alone, &y[..1], &[bit]));
        assert_eq!((all.0, all.1, all.2), (one.0, one.1, one.2));
        assert_eq!((all.3, all.4), (vec![one.3[0], 0.0, 0.0], vec![one.4[0], 0.0, 0.0]));
    }
    let multi = MultiCategorical::new(&[2, 3]);
    let mut y = [0.5, -0.5, 0.1, 0.2, 0.3];
    multi.mask(&[true, true, false, true, false], &mut y).unwrap();
    let (mut h, mut one) = ([0.0], [0.0]);
    multi.entropy(params(&y), &mut h).unwrap();
    Categorical { n: 2 }.entropy(params(&y[..2]), &mut one).unwrap();
    assert_eq!(h, one);
    for seed in 0..100 {
        let (actions, _) = sample(&multi, params(&y), 1, seed);
        assert!(matches!(&actions, Actions::Discrete(a) if a[1] == 1));
    }
}

/// The noise matrix is kept for `sample_freq` steps and drawn anew then, and at the beginning of a rollout.
#[test]
fn exploration_noise_is_kept_for_several_steps() {
    let dist = Gsde::new(1, 2, Some(3));
    let p = DistParams { y: &[0.5, 1.0, -2.0], globals: &[0.1, 0.2] };
    let mut noise = Noise::new(vec![rl_env::rng::stream(1, "test", 0)]);
    let step = |noise: &mut Noise<f64>| {
        let (mut actions, mut log_prob) = (Actions::Continuous(Vec::new()), [0.0]);
        dist.sample(p, noise, &mut actions, &mut log_prob).unwrap();
        let Actions::Continuous(a) = actions else { panic!() };
        a[0]
    };
    let first: Vec<f64> = (0..7).map(|_| step(&mut noise)).collect();
    assert!(first[0] == first[1] && first[1] == first[2] && first[3] == first[5]);
    assert!(first[2] != first[3] && first[5] != first[6]);
    noise.begin();
    assert_ne!(step(&mut noise), first[6]);
    let mut kept = Noise::kept(vec![rl_env::rng::stream(1, "test", 0)]);
    assert!((0..7).all(|_| step(&mut kept) == first[0]));
}
