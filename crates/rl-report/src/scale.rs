//! Axes: from values to places, with marks at round numbers.

/// How values become places on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// In proportion.
    Linear,
    /// By their logarithm; what is not positive has no place.
    Log,
}

/// One axis of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What is measured, and in what unit.
    pub label: String,
    /// The value where it begins.
    pub low: f64,
    /// The value where it ends.
    pub high: f64,
    /// How values lie on it.
    pub scale: Scale,
    /// Names instead of numbers, at 0, 1, 2, …
    pub names: Vec<String>,
}

impl Axis {
    /// An axis over all values, with a little room where asked.
    pub fn over(
        label: impl Into<String>,
        values: impl IntoIterator<Item = f64>,
        scale: Scale,
        room: f64,
    ) -> Self {
        let fits = |x: &f64| x.is_finite() && (scale == Scale::Linear || *x > 0.0);
        let (low, high) = values
            .into_iter()
            .filter(fits)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let (low, high) = match (low, high) {
            (low, high) if low > high => (if scale == Scale::Log { 0.1 } else { 0.0 }, 1.0),
            (low, high) if low < high => (low, high),
            (at, _) if scale == Scale::Log => (at / 2.0, at * 2.0),
            (0.0, _) => (0.0, 1.0),
            (at, _) => (at - 0.5 * at.abs().max(1.0), at + 0.5 * at.abs().max(1.0)),
        };
        let (low, high) = match scale {
            Scale::Linear => (low - room * (high - low), high + room * (high - low)),
            Scale::Log => (low * (low / high).powf(room), high * (high / low).powf(room)),
        };
        Axis { label: label.into(), low, high, scale, names: Vec::new() }
    }

    /// An axis with a name at every whole number.
    pub fn named(names: Vec<String>) -> Self {
        let high = names.len() as f64 - 0.5;
        Axis { label: String::new(), low: -0.5, high: high.max(0.5), scale: Scale::Linear, names }
    }

    /// Where a value lies, from 0 at the beginning to 1 at the end; beyond that outside, NaN where it has no place.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => f64::NAN,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// Round values on it, with their texts.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        if !self.names.is_empty() {
            return self.names.iter().enumerate().map(|(i, name)| (i as f64, name.clone())).collect();
        }
        match self.scale {
            Scale::Log if (self.high / self.low).log10() >= 1.0 => {
                let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
                let every = 1 + (last - first) / 6;
                let decades = (first..=last).filter(|power| (power - first) % every == 0);
                let marks: Vec<f64> = match last - first {
                    // So few decades leave most of the axis without a mark.
                    ..2 => (first - 1..=last)
                        .flat_map(|power| [1.0, 2.0, 5.0].map(|m| m * 10_f64.powi(power)))
                        .filter(|x| (self.low * (1.0 - 1e-9)..=self.high * (1.0 + 1e-9)).contains(x))
                        .collect(),
                    _ => decades.map(|power| 10_f64.powi(power)).collect(),
                };
                let smallest = marks.first().copied().unwrap_or(1.0);
                // All in one way: as powers where one has to be.
                let of = |x: f64| if smallest < 1e-3 * (1.0 - 1e-9) { smallest } else { x };
                marks.into_iter().map(|x| (x, number(x, x, of(x)))).collect()
            }
            _ => {
                let step = round_step((self.high - self.low) / 5.0);
                let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
                let largest = self.low.abs().max(self.high.abs());
                (first..=last).map(|i| i as f64 * step).map(|x| (x, number(x, step, largest))).collect()
            }
        }
    }
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is not smaller.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let fitting = [1.0, 2.0, 2.5, 5.0].into_iter().find(|m| m * power >= least * (1.0 - 1e-9));
    fitting.unwrap_or(10.0) * power
}

/// A value as people read it, as precise as steps of this size need, in a unit that suits the largest value.
pub(crate) fn number(x: f64, step: f64, largest: f64) -> String {
    if x.abs() < 1e-9 * step.abs() {
        return "0".to_owned();
    }
    if largest < 1e-3 {
        // As many digits as steps need beside the largest value.
        let decimals = decimals(step / 10_f64.powf(largest.log10().floor()));
        return format!("{x:.decimals$e}").replace('-', "−");
    }
    let (unit, name) = match largest {
        m if m >= 1e9 => (1e9, "G"),
        m if m >= 1e6 => (1e6, "M"),
        m if m >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let decimals = decimals(step / unit);
    format!("{:.decimals$}{name}", x / unit).replace('-', "−")
}

/// The digits after the point without which steps of this size would not be told apart.
fn decimals(step: f64) -> usize {
    let is_whole = |d: &i32| {
        let scaled = step * 10_f64.powi(*d);
        scaled > 0.5 && (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0)
    };
    (0..=4).find(is_whole).unwrap_or(4) as usize
}

/// A value by itself, with three or four digits that count.
pub fn value(x: f64) -> String {
    let size = x.abs();
    let text = match size {
        s if s.is_nan() => "–".to_owned(),
        0.0 => "0".to_owned(),
        s if s >= 1e7 => format!("{x:.3e}"),
        s if s >= 1000.0 || s.fract() == 0.0 => format!("{x:.0}"),
        s if s >= 100.0 => format!("{x:.1}"),
        s if s >= 1.0 => format!("{x:.2}"),
        s if s >= 0.1 => format!("{x:.3}"),
        s if s >= 0.01 => format!("{x:.4}"),
        s if s >= 0.001 => format!("{x:.5}"),
        _ => format!("{x:.2e}"),
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, scale: Scale) -> Vec<String> {
        Axis::over("", [low, high], scale, 0.0).ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(texts(0.0, 500.0, Scale::Linear), ["0", "100", "200", "300", "400", "500"]);
        assert_eq!(texts(0.0, 20480.0, Scale::Linear), ["0", "5k", "10k", "15k", "20k"]);
        assert_eq!(texts(-1600.0, -120.0, Scale::Linear), ["−1500", "−1000", "−500"]);
        assert_eq!(texts(0.0, 1.0, Scale::Linear), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(0.0, 2.5e6, Scale::Linear), ["0", "0.5M", "1.0M", "1.5M", "2.0M", "2.5M"]);
        assert_eq!(texts(0.001, 0.3, Scale::Log), ["0.001", "0.01", "0.1"]);
        assert_eq!(texts(1e-5, 10.0, Scale::Log), ["1e−5", "1e−3", "1e−1", "1e1"]);
        assert_eq!(texts(1e-7, 1e-5, Scale::Log), ["1e−7", "1e−6", "1e−5"]);
        // A divergence about its limit: one decade would be one mark.
        assert_eq!(texts(0.0042, 0.06, Scale::Log), ["0.005", "0.01", "0.02", "0.05"]);
        assert_eq!(texts(0.3, 4.0, Scale::Log), ["0.5", "1", "2"]);
        assert_eq!(texts(4e-4, 6e-3, Scale::Log), ["5e−4", "1e−3", "2e−3", "5e−3"]);
        assert_eq!(
            texts(1e-4, 2e-4, Scale::Log),
            ["1.0e−4", "1.2e−4", "1.4e−4", "1.6e−4", "1.8e−4", "2.0e−4"]
        );
        assert_eq!(texts(0.0, 1.2e-4, Scale::Linear), ["0", "2.50e−5", "5.00e−5", "7.50e−5", "1.00e−4"]);
    }

    #[test]
    fn one_value_has_an_axis() {
        for (at, scale) in [(3.0, Scale::Linear), (-2.0, Scale::Linear), (3.0, Scale::Log)] {
            let axis = Axis::over("", [at], scale, 0.05);
            assert!((axis.place(at) - 0.5).abs() < 1e-9, "{axis:?}");
            assert!(!Axis::over("", [], scale, 0.1).ticks().is_empty());
        }
    }

    #[test]
    fn values_have_four_digits() {
        let texts = [-100.0, 499.96, -1083.2, 0.0123456, 3.456, 1.2e-5].map(value);
        assert_eq!(texts, ["−100", "500.0", "−1083", "0.0123", "3.46", "1.20e−5"]);
    }
}
