//! What the value of a setting may be.

use rl_optim::{Moment, OptimError, Schedule};
use serde_json::{Map, Value, json};

use crate::ConfigError;

/// The numbers that a setting may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    low: f64,
    high: f64,
    has_low: bool,
    has_high: bool,
}

impl Bounds {
    /// Every finite number.
    pub const ANY: Bounds =
        Bounds { low: f64::NEG_INFINITY, high: f64::INFINITY, has_low: false, has_high: false };
    /// `(0, ∞)`
    pub const POSITIVE: Bounds = Bounds { low: 0.0, ..Bounds::ANY };
    /// `[0, ∞)`
    pub const NON_NEGATIVE: Bounds = Bounds { has_low: true, ..Bounds::POSITIVE };

    /// `[low, high]`
    pub const fn closed(low: f64, high: f64) -> Self {
        Bounds { low, high, has_low: true, has_high: true }
    }

    /// `(low, high)`
    pub const fn open(low: f64, high: f64) -> Self {
        Bounds { low, high, has_low: false, has_high: false }
    }

    /// `[low, high)`
    pub const fn from_below(low: f64, high: f64) -> Self {
        Bounds { low, high, has_low: true, has_high: false }
    }

    /// `(low, high]`
    pub const fn above_to(low: f64, high: f64) -> Self {
        Bounds { low, high, has_low: false, has_high: true }
    }

    /// Whether a number is among them; NaN and infinities never are.
    pub fn contain(&self, x: f64) -> bool {
        let above = if self.has_low { x >= self.low } else { x > self.low };
        let below = if self.has_high { x <= self.high } else { x < self.high };
        above && below && x.is_finite()
    }

    /// Where a schedule leaves them. At the very start, before any update, and at the very end, of the last one, it may touch an end that is not among them:
    /// `lin_0.001` counts as positive, and lets the last update change nothing.
    fn left_by(&self, schedule: &Schedule) -> Option<Moment> {
        let closure = Bounds { has_low: true, has_high: true, ..*self };
        let stays = |m: &Moment| if m.taken { self.contain(m.value) } else { closure.contain(m.value) };
        schedule.course().into_iter().find(|moment| !stays(moment))
    }

    /// Checks a schedule that may be a function, which settings cannot hold.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the value that lies outside, and when it is reached.
    pub fn check_schedule(&self, key: &str, schedule: &Schedule) -> Result<(), ConfigError> {
        let Some(moment) = self.left_by(schedule) else { return Ok(()) };
        let allowed = format!("{} throughout{}", number(self), told(&moment));
        Err(ConfigError { key: key.to_owned(), value: schedule.to_string(), allowed })
    }

    /// The range in words that follow "number": " from 0 to 1".
    fn told(&self) -> String {
        let Bounds { low, high, has_low, has_high } = *self;
        match (low.is_finite(), high.is_finite(), has_low, has_high) {
            (false, false, ..) => String::new(),
            (true, false, true, _) => format!(" of at least {low}"),
            (true, false, false, _) => format!(" above {low}"),
            (false, true, _, true) => format!(" of at most {high}"),
            (false, true, _, false) => format!(" below {high}"),
            (true, true, true, true) => format!(" from {low} to {high}"),
            (true, true, true, false) => format!(" from {low} to below {high}"),
            (true, true, false, true) => format!(" above {low} and up to {high}"),
            (true, true, false, false) => format!(" between {low} and {high}"),
        }
    }

    fn document(&self) -> Map<String, Value> {
        let end = |x: f64| x.is_finite().then_some(x);
        let document = json!({
            "low": end(self.low),
            "high": end(self.high),
            "low_allowed": self.has_low,
            "high_allowed": self.has_high,
        });
        if let Value::Object(map) = document { map } else { Map::new() }
    }
}

/// What the value of a setting may be.
///
/// ```
/// use rl_algo::{Bounds, Kind};
/// use serde_json::json;
///
/// let kind = Kind::OneOf(&[Kind::Real(Bounds::POSITIVE), Kind::None]);
/// assert_eq!(kind.to_string(), "a positive number, or none");
/// assert_eq!(kind.read(&json!(1)), Some(json!(1.0)));
/// assert_eq!(kind.read(&json!("none")), Some(json!(null)));
/// assert_eq!(kind.read(&json!(0)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// No value, written `none`.
    None,
    /// True or false.
    Bool,
    /// An integer of a range that includes both ends; `1e5` is one.
    Integer {
        /// The least.
        from: i64,
        /// The greatest; `i64::MAX` is said as no limit.
        to: i64,
    },
    /// A number.
    Real(Bounds),
    /// A number, or the text of a [`Schedule`], which stays within the bounds from start to end.
    Schedule(Bounds),
    /// One of these names.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A list.
    List {
        /// What its elements may be.
        of: &'static Kind,
        /// The most elements it may have.
        at_most: usize,
    },
    /// A table of exactly these parts, in TOML `{ pi = [64], vf = [64] }`.
    Table(&'static [(&'static str, Kind)]),
    /// Whatever one of these takes, the first that does.
    OneOf(&'static [Kind]),
    /// Anything: the algorithm itself says what it takes.
    Any,
}

impl Kind {
    /// An integer of at least this.
    pub const fn integer_from(from: i64) -> Self {
        Kind::Integer { from, to: i64::MAX }
    }

    /// The value in its one form (`1e5` as 100000 for an integer, 1 as 1.0 for a number, `"none"` as null); `None` where it is not allowed.
    pub fn read(&self, value: &Value) -> Option<Value> {
        match self {
            Kind::None => (value.is_null() || value == "none").then_some(Value::Null),
            Kind::Bool => value.as_bool().map(Value::Bool),
            Kind::Integer { from, to } => {
                integer(value).filter(|n| (from..=to).contains(&n)).map(Value::from)
            }
            Kind::Real(bounds) => value.as_f64().filter(|x| bounds.contain(*x)).map(Value::from),
            Kind::Schedule(bounds) => {
                let schedule: Schedule = serde_json::from_value(value.clone()).ok()?;
                let stays = bounds.left_by(&schedule).is_none();
                stays.then(|| serde_json::to_value(schedule).ok())?
            }
            Kind::Choice(names) => names.iter().any(|name| value == name).then(|| value.clone()),
            Kind::Text => value.is_string().then(|| value.clone()),
            Kind::List { of, at_most } => {
                let list = value.as_array().filter(|list| list.len() <= *at_most)?;
                list.iter().map(|element| of.read(element)).collect::<Option<_>>().map(Value::Array)
            }
            Kind::Table(parts) => {
                let part = |(key, value): (&String, &Value)| {
                    let (_, kind) = parts.iter().find(|(name, _)| name == key)?;
                    Some((key.clone(), kind.read(value)?))
                };
                let table = value.as_object().filter(|table| table.len() == parts.len())?;
                table.iter().map(part).collect::<Option<_>>().map(Value::Object)
            }
            Kind::OneOf(kinds) => kinds.iter().find_map(|kind| kind.read(value)),
            Kind::Any if value == "none" => Some(Value::Null),
            Kind::Any => Some(value.clone()),
        }
    }

    /// The numbers that a schedule may take, where it may be one.
    pub(super) fn of_schedule(&self) -> Option<Bounds> {
        match self {
            Kind::Schedule(bounds) => Some(*bounds),
            Kind::OneOf(kinds) => kinds.iter().find_map(Kind::of_schedule),
            _ => None,
        }
    }

    /// What is wrong with a value that is not allowed, in words that follow what is allowed, where there is more to say.
    pub(super) fn because(&self, value: &Value) -> String {
        match self {
            Kind::Schedule(bounds) => match value.as_str().map(str::parse::<Schedule>) {
                Some(Ok(schedule)) => {
                    bounds.left_by(&schedule).map_or_else(String::new, |moment| told(&moment))
                }
                Some(Err(OptimError::InvalidSchedule { why, .. })) => format!(" ({why})"),
                _ => String::new(),
            },
            Kind::Integer { to: i64::MAX, .. }
                if value.as_u64().is_some_and(|n| i64::try_from(n).is_err()) =>
            {
                ", below 2^63".to_owned()
            }
            Kind::OneOf(kinds) => kinds.iter().map(|kind| kind.because(value)).collect(),
            _ => String::new(),
        }
    }

    /// What a value like this one may be replaced by, where nobody said: one of the same type.
    pub(super) fn like(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Kind::Bool,
            Value::Number(x) if x.is_f64() => Kind::Real(Bounds::ANY),
            Value::Number(_) => Kind::Integer { from: i64::MIN, to: i64::MAX },
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => Kind::Any,
        }
    }

    /// For programs: an object with `type` and what belongs to it.
    pub fn document(&self) -> Value {
        let with_bounds = |name: &str, bounds: &Bounds| {
            let mut document = Map::from_iter([("type".to_owned(), json!(name))]);
            document.extend(bounds.document());
            Value::Object(document)
        };
        match self {
            Kind::None => json!({"type": "none"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Integer { from, to } => {
                let (from, to) = ((*from > i64::MIN).then_some(*from), (*to < i64::MAX).then_some(*to));
                json!({"type": "integer", "from": from, "to": to})
            }
            Kind::Real(bounds) => with_bounds("real", bounds),
            Kind::Schedule(bounds) => with_bounds("schedule", bounds),
            Kind::Choice(names) => json!({"type": "choice", "choices": names}),
            Kind::Text => json!({"type": "text"}),
            Kind::List { of, at_most } => json!({"type": "list", "of": of.document(), "at_most": at_most}),
            Kind::Table(parts) => {
                let parts: Map<_, _> =
                    parts.iter().map(|(key, kind)| ((*key).to_owned(), kind.document())).collect();
                json!({"type": "table", "parts": parts})
            }
            Kind::OneOf(kinds) => {
                json!({"type": "one of", "kinds": kinds.iter().map(Kind::document).collect::<Vec<_>>()})
            }
            Kind::Any => json!({"type": "any"}),
        }
    }
}

impl std::fmt::Display for Kind {
    /// What is allowed, as an error says it after "expected".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::None => f.write_str("none"),
            Kind::Bool => f.write_str("true or false"),
            Kind::Integer { from, to } => write!(f, "an integer{}", integers(*from, *to)),
            Kind::Real(bounds) => f.write_str(&number(bounds)),
            Kind::Schedule(bounds) => {
                write!(f, "{}, or a schedule such as \"lin_0.001\"", number(bounds))
            }
            Kind::Choice([one]) => write!(f, "\"{one}\""),
            Kind::Choice(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                write!(f, "one of {}", names.join(", "))
            }
            Kind::Text => f.write_str("a text"),
            Kind::List { of, at_most } => {
                write!(f, "a list of at most {at_most} ")?;
                match of {
                    Kind::Integer { from, to } => {
                        write!(f, "integers{}, such as [64, 64]", integers(*from, *to))
                    }
                    Kind::Real(bounds) => write!(f, "numbers{}", bounds.told()),
                    other => write!(f, "values, each {other}"),
                }
            }
            Kind::Table(parts) => {
                let parts: Vec<String> = parts.iter().map(|(key, kind)| format!("{key} = {kind}")).collect();
                write!(f, "a table {{ {} }}", parts.join("; "))
            }
            // A kind that stands beside is not told again for every part of a table.
            Kind::OneOf([one, Kind::Table(parts)]) if parts.iter().all(|(_, kind)| kind == one) => {
                let keys: Vec<String> = parts.iter().map(|(key, _)| format!("{key} = …")).collect();
                write!(f, "{one}, or a table of such, {{ {} }}", keys.join(", "))
            }
            Kind::OneOf(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                f.write_str(&kinds.join(", or "))
            }
            Kind::Any => f.write_str("a value"),
        }
    }
}

/// The moment at which a schedule leaves its bounds.
fn told(moment: &Moment) -> String {
    match moment.done {
        0.0 => format!(" (it is {} at the beginning of the training)", moment.value),
        1.0 => format!(" (it is {} at the end of the training)", moment.value),
        done => format!(" (it is {} when {done} of the training is done)", moment.value),
    }
}

fn number(bounds: &Bounds) -> String {
    if *bounds == Bounds::POSITIVE {
        return "a positive number".to_owned();
    }
    format!("a number{}", bounds.told())
}

fn integers(from: i64, to: i64) -> String {
    match (from, to) {
        (i64::MIN, i64::MAX) => String::new(),
        (i64::MIN, to) => format!(" up to {}", large(to)),
        (from, i64::MAX) => format!(" from {} up", large(from)),
        (from, to) => format!(" from {} to {}", large(from), large(to)),
    }
}

/// A power of ten from a million on as such: nobody counts fifteen zeros.
fn large(n: i64) -> String {
    let digits = n.to_string();
    let is_power = digits.len() > 6 && digits.starts_with('1') && digits[1..].bytes().all(|d| d == b'0');
    if is_power { format!("10^{}", digits.len() - 1) } else { digits }
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let x = value.as_f64().filter(|_| value.is_f64())?;
        // Beyond 9e15 not every integer is a number.
        (x.fract().abs() < f64::EPSILON && x.abs() <= 9e15).then_some(x as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTEGER: Kind = Kind::Integer { from: 1, to: 100_000 };

    #[test]
    fn values_come_in_one_form() {
        let cases = [
            (INTEGER, json!(1e5), Some(json!(100_000))),
            (INTEGER, json!(1.5), None),
            (INTEGER, json!(0), None),
            (INTEGER, json!("many"), None),
            (Kind::integer_from(0), json!(u64::MAX), None),
            (Kind::Real(Bounds::closed(0.0, 1.0)), json!(1), Some(json!(1.0))),
            (Kind::Real(Bounds::from_below(0.0, 1.0)), json!(1), None),
            (Kind::Real(Bounds::above_to(0.0, 1.0)), json!(0), None),
            (Kind::Real(Bounds::ANY), json!("nan"), None),
            (Kind::Real(Bounds::ANY), json!(null), None),
            (Kind::Schedule(Bounds::POSITIVE), json!(1), Some(json!(1.0))),
            (Kind::Schedule(Bounds::POSITIVE), json!("lin_0.10"), Some(json!("lin_0.1"))),
            (Kind::Schedule(Bounds::POSITIVE), json!("lin_-1"), None),
            (Kind::Schedule(Bounds::POSITIVE), json!("exp_1"), None),
            (Kind::Schedule(Bounds::POSITIVE), json!("lin_1_-1"), None),
            (Kind::Schedule(Bounds::POSITIVE), json!("lin_0"), None),
            (Kind::Schedule(Bounds::POSITIVE), json!("cos_1"), Some(json!("cos_1_0"))),
            (Kind::Schedule(Bounds::POSITIVE), json!("steps_1_0.5:0"), None),
            (Kind::Schedule(Bounds::NON_NEGATIVE), json!("steps_1_0.5:0"), Some(json!("steps_1_0.5:0"))),
            (Kind::Schedule(Bounds::POSITIVE), json!("warmup_0.1_1"), Some(json!("warmup_0.1_1"))),
            (Kind::Schedule(Bounds::closed(0.1, 1.0)), json!("warmup_0.1_1"), None),
            (Kind::Schedule(Bounds::from_below(0.0, 1.0)), json!("lin_1_0.5"), Some(json!("lin_1_0.5"))),
            (Kind::Bool, json!(1), None),
            (Kind::Bool, json!(true), Some(json!(true))),
            (Kind::Choice(&["a", "b"]), json!("b"), Some(json!("b"))),
            (Kind::Choice(&["a", "b"]), json!("c"), None),
            (Kind::List { of: &INTEGER, at_most: 2 }, json!([1, 2e0]), Some(json!([1, 2]))),
            (Kind::List { of: &INTEGER, at_most: 2 }, json!([1, 2, 3]), None),
            (Kind::List { of: &INTEGER, at_most: 2 }, json!([0]), None),
            (Kind::Table(&[("pi", INTEGER)]), json!({"pi": 3.0}), Some(json!({"pi": 3}))),
            (Kind::Table(&[("pi", INTEGER)]), json!({"pj": 3}), None),
            (Kind::Table(&[("pi", INTEGER), ("vf", INTEGER)]), json!({"pi": 3}), None),
            (Kind::OneOf(&[INTEGER, Kind::None]), json!("none"), Some(json!(null))),
            (Kind::Any, json!("none"), Some(json!(null))),
        ];
        for (kind, given, expected) in cases {
            assert_eq!(kind.read(&given), expected, "{kind}: {given}");
        }
    }

    #[test]
    fn what_is_allowed_is_said_in_words() {
        let widths = Kind::List { of: &Kind::Integer { from: 1, to: 65_536 }, at_most: 64 };
        for (kind, words) in [
            (Kind::integer_from(1), "an integer from 1 up"),
            (Kind::Integer { from: 1, to: 1_000_000_000_000_000 }, "an integer from 1 to 10^15"),
            (Kind::Real(Bounds::open(0.0, 1.0)), "a number between 0 and 1"),
            (Kind::Real(Bounds::NON_NEGATIVE), "a number of at least 0"),
            (Kind::OneOf(&[Kind::Choice(&["never"]), Kind::None]), "\"never\", or none"),
            (widths, "a list of at most 64 integers from 1 to 65536, such as [64, 64]"),
        ] {
            assert_eq!(kind.to_string(), words);
        }
    }
}
