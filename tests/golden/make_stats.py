"""Golden numbers for the statistics, computed by rliable, SciPy and lifelines.

    python make_stats.py SEED OUT_DIR        (needs: numpy, scipy, rliable, lifelines)

File: stats.json. Matrices of scores are tasks x runs (rliable's are runs x tasks).

A bootstrap interval is random, so none is compared with another digit by digit. From rliable's own R resamples stands, for
each end of the interval (level p), the range between the quantiles at p -+ 5 sqrt(p (1 - p) (1/R + 1/R')): what another R'
resamples may give within five standard errors of the level. Levels are clipped to [0, 1].

What no library gives is written out here in NumPy: the standard error of the restricted mean (Irwin 1949), and the half-width and the
bounds of a distribution band.
"""
import json, math, pathlib, sys
import numpy as np, scipy.stats as st
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times, restricted_mean_survival_time
from rliable import library as rly, metrics

SEED, OUT = int(sys.argv[1]), pathlib.Path(sys.argv[2]); OUT.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(SEED)
np.random.seed(SEED)  # rliable draws from NumPy's global generator
THEIRS, PAIRS, OURS = 5_000, 2_000, 20_000
lst = lambda a: np.asarray(a, dtype=float).tolist()
num = lambda x: None if x is None or not math.isfinite(x) else float(x)

def ends(values, reps):
    """The range of both ends of a 95 % interval, for every column."""
    values = np.asarray(values).reshape(reps, -1)
    def end(p):
        off = 5 * math.sqrt(p * (1 - p) * (1 / reps + 1 / OURS))
        return np.quantile(values, [max(0, p - off), min(1, p + off)], axis=0).T
    return [dict(low=lst(l), high=lst(h)) for l, h in zip(end(.025), end(.975))]

def bootstrap(scores, func, reps):
    make = rly.StratifiedBootstrap if isinstance(scores, np.ndarray) else rly.StratifiedIndependentBootstrap
    data = (scores,) if isinstance(scores, np.ndarray) else scores
    return ends(make(*data).apply(func, reps), reps)

# ---- aggregates, improvement, profiles: bounded and bimodal scores, with ties and with none
def score_matrix(runs, tasks, kind):
    if kind == "normal": return rng.normal(rng.normal(0, 1, tasks), 1, (runs, tasks))
    if kind == "bimodal": return np.where(rng.random((runs, tasks)) < .15, 9., 500.) - rng.random((runs, tasks)).round(1)
    return rng.integers(0, 6, (runs, tasks)).astype(float)

AGGREGATES = dict(mean=metrics.aggregate_mean, median=metrics.aggregate_median, iqm=metrics.aggregate_iqm,
                  optimality_gap=lambda x: metrics.aggregate_optimality_gap(x, gamma=1.))
def aggregate_case(runs, runs_y, tasks, kind):
    x, y = score_matrix(runs, tasks, kind), score_matrix(runs_y, tasks, kind)
    taus = np.quantile(np.concatenate([x.ravel(), y.ravel()]), np.linspace(0, 1, 9)[1:-1])
    together = lambda s: np.array([f(s) for f in AGGREGATES.values()])
    profile = lambda s: rly.score_distributions(s, taus)
    return dict(x=lst(x.T), y=lst(y.T), gamma=1., taus=lst(taus),
                values={k: float(f(x)) for k, f in AGGREGATES.items()},
                intervals=dict(zip(AGGREGATES, bootstrap(x, together, THEIRS))),
                improvement=float(metrics.probability_of_improvement(x, y)),
                improvement_interval=bootstrap((x, y), lambda a, b: np.array([metrics.probability_of_improvement(a, b)]), PAIRS)[0],
                profile=lst(profile(x)), profile_bands=bootstrap(x, profile, PAIRS))

# ---- quantiles, standard deviation, area under a curve
def sample_case(n):
    x = rng.normal(0, 10, n).round(rng.integers(0, 5))
    q = rng.random(4)
    steps = np.cumsum(rng.integers(1, 3000, n)).astype(float)
    area = float(np.trapezoid(x, steps) / (steps[-1] - steps[0])) if n > 1 else None
    return dict(x=lst(x), q=lst(q), quantiles=lst(np.quantile(x, q)), median=float(np.median(x)), std=float(np.std(x)),
                iqm=float(st.trim_mean(x, .25)), steps=lst(steps), area=area)

# ---- times to a threshold
def survival_case(n, budget, scale, distinct):
    t = rng.exponential(scale, n)
    if not distinct: t = np.ceil(t / (budget / 10)) * (budget / 10)  # as evaluations at tenths of the budget give them
    lost = rng.random(n) < .15                                       # interrupted before the end
    watched = np.where(lost, rng.random(n) * budget, budget)
    if not distinct: watched = np.where(lost, np.ceil(watched / (budget / 10)) * (budget / 10), watched)
    time, reached = np.minimum(t, watched), t <= watched
    km = KaplanMeierFitter().fit(time, reached)
    table = km.event_table[km.event_table.observed > 0]
    S = km.survival_function_.iloc[:, 0]
    ci = km.confidence_interval_
    n_i, d_i, s = table.at_risk.to_numpy(float), table.observed.to_numpy(float), S.loc[table.index].to_numpy()
    mean = float(restricted_mean_survival_time(km, t=budget))
    edges = np.append(table.index.to_numpy(float), budget)
    areas = np.cumsum((s * np.diff(edges))[::-1])[::-1]
    terms = [a * a * d / (n * (n - d)) if n > d else 0. for a, n, d in zip(areas, n_i, d_i)]
    # Where S is 0 the formula has no value, and lifelines takes the bounds as 0: that row is left out, of the median's ends too.
    inside = s > 1e-12
    median_ci = median_survival_times(ci[S.to_numpy() > 1e-12]).iloc[0]
    known = time.max() >= budget or s.min(initial=1.) <= 1e-12  # else nobody knows what lies between the last time and the budget
    return dict(time=lst(time), reached=[bool(r) for r in reached], budget=float(budget),
                times=lst(table.index), survival=lst(s), at_risk=lst(n_i), events=lst(d_i),
                low=lst(ci.iloc[:, 0].loc[table.index][inside]), high=lst(ci.iloc[:, 1].loc[table.index][inside]),
                median=num(km.median_survival_time_), median_low=num(median_ci.iloc[0]), median_high=num(median_ci.iloc[1]),
                restricted_mean=mean if known else None, restricted_error=math.sqrt(sum(terms)) if known else None)

# ---- paired tests
def paired_case(n, kind):
    if kind == "distinct": x, y = rng.normal(.4, 1, n), rng.normal(0, 1, n)
    else: x, y = rng.integers(0, 7, n).astype(float), rng.integers(0, 6, n).astype(float)
    d = x - y
    if np.ptp(d) == 0: x[0] += 1; d = x - y
    t = st.ttest_rel(x, y); ci = t.confidence_interval(.95)
    nonzero = d[d != 0]
    # SciPy turns to the normal approximation from 14 on where there are ties; beyond 13 only those of distinct differences
    # and those of more than 50 are compared.
    w = st.wilcoxon(nonzero) if kind == "distinct" or len(nonzero) <= 13 or len(nonzero) > 50 else None
    boot = [ends(np.array([f(np.random.choice(d, n)) for _ in range(THEIRS)]), THEIRS)[0]
            for f in (np.mean, lambda x: st.trim_mean(x, .25))]
    return dict(x=lst(x), y=lst(y), t=float(t.statistic), p_t=float(t.pvalue), low=num(ci.low), high=num(ci.high),
                wilcoxon=None if w is None else float(w.statistic), p_wilcoxon=None if w is None else float(w.pvalue),
                mean_interval=boot[0], iqm_interval=boot[1])

# ---- a band around the distribution, and the trimmed means within
def band_case(n, alpha, trim):
    x = np.sort(rng.random(n).round(2))
    half = math.sqrt(math.log(2 / alpha) / (2 * n))
    u = trim + (1 - 2 * trim) * (np.arange(1_000_000) + .5) / 1_000_000
    def inverse(v): return np.where(v <= 0, 0., np.where(v > 1, 1., x[np.clip(np.ceil(v * n - 1e-9).astype(int) - 1, 0, n - 1)]))
    return dict(x=lst(x), alpha=alpha, trim=trim, half_width=half,
                low=float(inverse(u - half).mean()), high=float(inverse(u + half).mean()))

(OUT / "stats.json").write_text(json.dumps(dict(
    seed=SEED, resamples=OURS,
    aggregates=[aggregate_case(*c) for c in [(10, 10, 1, "normal"), (5, 8, 4, "normal"), (20, 12, 3, "bimodal"), (7, 7, 2, "ties")]],
    samples=[sample_case(n) for n in (1, 2, 5, 16, 101)],
    survival=[survival_case(*c) for c in [(5, 1e5, 4e4, False), (30, 1e5, 6e4, False), (30, 1e5, 3e4, True), (200, 1e5, 2e5, True)]],
    paired=[paired_case(*c) for c in [(6, "distinct"), (12, "ties"), (25, "distinct"), (50, "distinct"), (90, "ties"), (200, "distinct")]],
    bands=[band_case(*c) for c in [(40, .05, .25), (100, .01, .25), (100, .05, 0.), (12, .05, .1)]],
)) + "\n")
print("stats.json")
