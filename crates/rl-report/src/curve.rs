//! Curves: points in order, thinned out, and many of them as one.

use rand::Rng;
use rl_stats::{Interval, MIN_RUNS, quantile};

/// Points with increasing `x`, none of them NaN.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Where the points are.
    pub x: Vec<f64>,
    /// Their values; as many.
    pub y: Vec<f64>,
}

/// One curve of many runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The statistic.
    pub middle: Curve,
    /// The lower and upper end of its interval at every point, where there is one.
    pub ends: Vec<Option<(f64, f64)>>,
    /// Of how many curves the statistic is at every point.
    pub counts: Vec<usize>,
}

impl Curve {
    /// The points that are finite and go on to the right; what goes back or stands still is left out.
    pub fn new(points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut curve = Curve::default();
        for (x, y) in points {
            let goes_on = curve.x.last().is_none_or(|last| x > *last);
            if x.is_finite() && y.is_finite() && goes_on {
                curve.x.push(x);
                curve.y.push(y);
            }
        }
        curve
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// The points.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.x.iter().copied().zip(self.y.iter().copied())
    }

    /// The value at `x`, linear between points; `None` beyond the first and the last.
    ///
    /// ```
    /// let curve = rl_report::Curve::new([(0.0, 1.0), (2.0, 5.0)]);
    /// assert_eq!(curve.at(0.5), Some(2.0));
    /// assert_eq!(curve.at(2.1), None);
    /// ```
    pub fn at(&self, x: f64) -> Option<f64> {
        let after = self.x.partition_point(|point| *point < x);
        let (right, value) = (*self.x.get(after)?, *self.y.get(after)?);
        if right <= x {
            return Some(value);
        }
        let before = after.checked_sub(1)?;
        let share = (x - self.x[before]) / (right - self.x[before]);
        Some(self.y[before] + share * (value - self.y[before]))
    }

    /// At most `n` of the points, chosen so that the drawn line keeps its shape.
    ///
    /// # Source
    ///
    /// Steinarsson, "Downsampling time series for visual representation", 2013: of every bucket the point that makes the largest triangle with
    /// the one kept before and the mean of the next bucket.
    pub fn thinned(&self, n: usize) -> Curve {
        let len = self.x.len();
        if len <= n || n < 3 {
            return self.clone();
        }
        let edge = |bucket: usize| 1 + bucket * (len - 2) / (n - 2);
        let mut kept = vec![0];
        for bucket in 0..n - 2 {
            let next = edge(bucket + 1)..edge(bucket + 2).min(len).max(edge(bucket + 1) + 1);
            let count = next.len() as f64;
            let (mean_x, mean_y) =
                (self.x[next.clone()].iter().sum::<f64>() / count, self.y[next].iter().sum::<f64>() / count);
            let last = kept[kept.len() - 1];
            let area = |i: usize| {
                let (dx, dy) = (self.x[last] - mean_x, self.y[last] - mean_y);
                (dx * (self.y[i] - self.y[last]) - dy * (self.x[i] - self.x[last])).abs()
            };
            let largest = (edge(bucket)..edge(bucket + 1)).max_by(|&a, &b| area(a).total_cmp(&area(b)));
            kept.extend(largest);
        }
        kept.push(len - 1);
        Curve { x: kept.iter().map(|&i| self.x[i]).collect(), y: kept.iter().map(|&i| self.y[i]).collect() }
    }
}

impl Summary {
    /// The same at other places; what has none, or would go back, is left out.
    pub(crate) fn moved(&self, to: impl Fn(f64) -> Option<f64>) -> Self {
        let (mut moved, mut last) = (Summary::default(), f64::NEG_INFINITY);
        for (i, (x, y)) in self.middle.points().enumerate() {
            let Some(x) = to(x).filter(|x| *x > last) else { continue };
            last = x;
            moved.middle.x.push(x);
            moved.middle.y.push(y);
            moved.ends.push(self.ends[i]);
            moved.counts.push(self.counts[i]);
        }
        moved
    }

    /// How many curves it is of at its end and where it is of the most, if that is not the same.
    pub(crate) fn thins(&self) -> Option<(usize, usize)> {
        let (last, most) = (*self.counts.last()?, *self.counts.iter().max()?);
        (last < most).then_some((last, most))
    }

    /// The stretches that have an interval: places with its ends.
    pub(crate) fn bands(&self) -> Vec<Vec<(f64, f64, f64)>> {
        let points = self.middle.x.iter().zip(&self.ends);
        let points: Vec<_> = points.map(|(x, ends)| ends.map(|(low, high)| (*x, low, high))).collect();
        let stretches = points.split(Option::is_none).filter(|stretch| !stretch.is_empty());
        stretches.map(|stretch| stretch.iter().copied().flatten().collect()).collect()
    }
}

/// Where curves are looked at: every point that one of them has where these are at most `n`, else `n` places from the first to the last of all.
pub(crate) fn places(curves: &[&Curve], n: usize) -> Vec<f64> {
    let mut all: Vec<f64> = curves.iter().flat_map(|curve| curve.x.iter().copied()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let (Some(&low), Some(&high)) = (all.first(), all.last()) else { return Vec::new() };
    if all.len() <= n {
        return all;
    }
    let mut places: Vec<f64> = (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect();
    // Rounding must not put the last one beyond every curve.
    places[n - 1] = high;
    places
}

/// The statistic of all curves at every place, with its pointwise 95 % bootstrap interval over the curves where there are enough of them.
pub(crate) fn with_intervals(
    curves: &[&Curve],
    n: usize,
    statistic: fn(&[f64]) -> f64,
    rng: &mut impl Rng,
) -> Summary {
    // Fewer resamples of many runs, whose intervals need fewer to be known as well.
    let resamples = (200_000 / curves.len().max(1)).clamp(200, 2000);
    summarised(curves, n, |values| {
        let interval = (values.len() >= MIN_RUNS)
            .then(|| rl_stats::bootstrap_interval(statistic, values, 0.95, resamples, rng).ok())
            .flatten();
        (statistic(values), interval.map(|Interval { low, high }| (low, high)))
    })
}

/// The median of all curves at every place, and two of their quantiles.
pub(crate) fn with_quantiles(curves: &[&Curve], n: usize, quantiles: (f64, f64)) -> Summary {
    summarised(curves, n, |values| {
        let (low, high) = quantiles;
        (quantile(values, 0.5), (values.len() > 1).then(|| (quantile(values, low), quantile(values, high))))
    })
}

fn summarised(
    curves: &[&Curve],
    n: usize,
    mut of: impl FnMut(&[f64]) -> (f64, Option<(f64, f64)>),
) -> Summary {
    let mut summary = Summary::default();
    for x in places(curves, n) {
        let values: Vec<f64> = curves.iter().filter_map(|curve| curve.at(x)).collect();
        if values.is_empty() {
            continue;
        }
        let (middle, ends) = of(&values);
        summary.middle.x.push(x);
        summary.middle.y.push(middle);
        summary.ends.push(ends);
        summary.counts.push(values.len());
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (2.0, 9.0), (1.5, 0.0), (f64::INFINITY, 1.0)];
        assert_eq!(Curve::new(points), Curve { x: vec![0.0, 2.0], y: vec![1.0, 3.0] });
    }

    #[test]
    fn thinning_keeps_ends_and_peaks() {
        let curve = Curve::new((0..1000).map(|i| (f64::from(i), if i == 517 { 50.0 } else { 0.0 })));
        let thin = curve.thinned(40);
        assert_eq!(thin.x.len(), 40);
        assert_eq!((thin.x[0], thin.x[39]), (0.0, 999.0));
        assert!(thin.y.contains(&50.0), "the peak is lost");
        assert_eq!(curve.thinned(1000), curve);
    }

    #[test]
    fn a_summary_goes_as_far_as_the_longest_curve() {
        let (a, b) = (Curve::new([(0.0, 0.0), (10.0, 10.0)]), Curve::new([(2.0, 4.0), (6.0, 8.0)]));
        let summary = with_quantiles(&[&a, &b], 4, (0.0, 1.0));
        assert_eq!(summary.middle.x, [0.0, 2.0, 6.0, 10.0]);
        assert_eq!(summary.middle.y, [0.0, 3.0, 7.0, 10.0]);
        assert_eq!(summary.ends, [None, Some((2.0, 4.0)), Some((6.0, 8.0)), None]);
        assert_eq!((summary.counts.as_slice(), summary.thins()), (&[1, 2, 2, 1][..], Some((1, 2))));
        assert_eq!(summary.bands(), [[(2.0, 2.0, 4.0), (6.0, 6.0, 8.0)]]);
        // More points than places: as many places, over the whole way.
        assert_eq!(with_quantiles(&[&a, &b], 3, (0.0, 1.0)).middle.x, [0.0, 5.0, 10.0]);
    }

    #[test]
    fn no_interval_from_few() {
        let curve = Curve::new([(0.0, 1.0), (1.0, 2.0)]);
        let mut rng = <rand_xoshiro::Xoshiro256PlusPlus as rand::SeedableRng>::seed_from_u64(0);
        assert_eq!(with_intervals(&[&curve; 4], 9, rl_stats::mean, &mut rng).ends, [None, None]);
        let five = with_intervals(&[&curve; 5], 9, rl_stats::mean, &mut rng);
        assert_eq!(five.ends, [Some((1.0, 1.0)), Some((2.0, 2.0))]);
    }
}
