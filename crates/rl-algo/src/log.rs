//! What an algorithm tells beside its report, under names that it need not declare.

use rl_nn::Real;

/// Scalars and histograms of one update.
///
/// A tag without a slash is below `train/`, as the scalars of a [`Report`](crate::Report) are; one with a slash stands as it is. `rollout/`, `eval/` and
/// `time/` are the run's own. The run ends with an error that names the tag where one is empty, taken, or told twice in an update.
///
/// ```
/// use rl_algo::{Log, UpdateContext};
///
/// let mut rng = rl_env::rng::stream(0, "update", 0);
/// let mut ctx = UpdateContext::new(&mut rng);
/// ctx.log.scalar("temperature", 0.5);
/// ctx.log.histogram("advantages/raw", &[0.0, 1.0, 1.0, 4.0]);
/// assert_eq!(ctx.log.scalars(), [("train/temperature".to_owned(), 0.5)]);
/// let (tag, of_advantages) = &ctx.log.histograms()[0];
/// assert_eq!((&**tag, of_advantages.n(), of_advantages.sum), ("advantages/raw", 4, 6.0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    scalars: Vec<(String, f64)>,
    histograms: Vec<(String, Histogram)>,
}

impl Log {
    /// Tells a number, which may be told for the first time at any update; NaN where it has no meaning this time.
    pub fn scalar(&mut self, tag: &str, x: f64) {
        self.scalars.push((full(tag), x));
    }

    /// Tells how numbers are distributed, which TensorBoard shows and tables leave out. Those that are not finite do not count; of none that is there is
    /// no histogram.
    pub fn histogram<F: Real>(&mut self, tag: &str, values: &[F]) {
        self.histograms.extend(Histogram::of(values).map(|histogram| (full(tag), histogram)));
    }

    /// The scalars with their whole tags, in the order in which they were told.
    pub fn scalars(&self) -> &[(String, f64)] {
        &self.scalars
    }

    /// The histograms with their whole tags, in the order in which they were told.
    pub fn histograms(&self) -> &[(String, Histogram)] {
        &self.histograms
    }

    /// Everything that another one was told, after what this one was.
    pub fn append(&mut self, other: Log) {
        self.scalars.extend(other.scalars);
        self.histograms.extend(other.histograms);
    }
}

fn full(tag: &str) -> String {
    if tag.contains('/') { tag.to_owned() } else { format!("train/{tag}") }
}

/// How numbers are distributed: 30 buckets of equal width from the least to the greatest, as TensorBoard's own summaries have, or one where all are equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_squares: f64,
    /// How many there are in each bucket, from the left.
    pub counts: Vec<u64>,
}

/// Buckets of a histogram.
const BUCKETS: usize = 30;

impl Histogram {
    /// That of the finite ones among these, where there are any.
    ///
    /// ```
    /// use rl_algo::Histogram;
    /// let histogram = Histogram::of(&[0.0, 29.5, 30.0, f64::NAN]).unwrap();
    /// assert_eq!((histogram.counts[0], histogram.counts[29], histogram.limit(29)), (1, 2, 30.0));
    /// assert_eq!(Histogram::of(&[2.0f32, 2.0]).unwrap().counts, [2]);
    /// assert_eq!(Histogram::of::<f32>(&[]), None);
    /// ```
    pub fn of<F: Real>(values: &[F]) -> Option<Self> {
        let finite = || values.iter().map(|x| x.widen()).filter(|x| x.is_finite());
        let (min, max) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), x| {
            (if x < min { x } else { min }, if x > max { x } else { max })
        });
        if min > max {
            return None;
        }
        let mut counts = vec![0; if min < max { BUCKETS } else { 1 }];
        let n = counts.len();
        for x in finite() {
            // Halves, whose difference cannot overflow.
            let share = (x / 2.0 - min / 2.0) / (max / 2.0 - min / 2.0);
            // Where all are equal it is NaN, and the bucket the first.
            counts[((share * n as f64) as usize).min(n - 1)] += 1;
        }
        let (sum, sum_squares) = finite().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
        Some(Histogram { min, max, sum, sum_squares, counts })
    }

    /// How many numbers there are.
    pub fn n(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The right end of a bucket.
    pub fn limit(&self, bucket: usize) -> f64 {
        if bucket + 1 >= self.counts.len() {
            return self.max;
        }
        let share = (bucket + 1) as f64 / self.counts.len() as f64;
        self.min * (1.0 - share) + self.max * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_number_is_in_a_bucket_that_holds_it() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i * i % 977) - 300.0).collect();
        let histogram = Histogram::of(&values).unwrap();
        assert_eq!(histogram.n(), 1000);
        let mut left = f64::NEG_INFINITY;
        for (bucket, count) in histogram.counts.iter().enumerate() {
            let right = histogram.limit(bucket);
            let within = values.iter().filter(|x| **x > left + 1e-9 && **x < right - 1e-9).count() as u64;
            assert!(within <= *count, "bucket {bucket} from {left} to {right}: {count} of {within}");
            left = right;
        }
    }

    #[test]
    fn extremes_overflow_nothing() {
        let histogram = Histogram::of(&[f64::MIN, 0.0, f64::MAX, f64::INFINITY, f64::NAN]).unwrap();
        assert_eq!((histogram.n(), histogram.counts[0], histogram.counts[29]), (3, 1, 1));
        assert!(histogram.limit(3).is_finite());
        assert_eq!(Histogram::of(&[f32::NAN, f32::INFINITY]), None);
    }
}
