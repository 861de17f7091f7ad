//! Returns as people read them.

/// From here on a number is written in powers of ten.
const LARGE: f64 = 1e7;

/// A return as people read it, with as many decimals as suit the largest number `beside` it: one, two where that is below ten; in powers of ten from
/// ten million on.
///
/// ```
/// use rl_train::shown;
/// assert_eq!([shown(-187.25, 500.0), shown(0.956, 0.956), shown(1e300, 1e300)], ["-187.2", "0.96", "1.00e300"]);
/// ```
pub fn shown(x: f64, beside: f64) -> String {
    if x.abs() >= LARGE {
        return format!("{x:.2e}");
    }
    let decimals = if beside.abs() < 10.0 { 2 } else { 1 };
    format!("{x:.decimals$}")
}
