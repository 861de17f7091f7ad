//! What somebody may have meant.

/// The known name nearest to one that is not known, if any is near: the greatest Jaro-Winkler similarity, small and capital letters being the same, above
/// 0.75. Versions as in `Walk-v0` say nothing of what was meant.
///
/// ```
/// assert_eq!(rl_env::nearest("cartpole-v1", ["Acrobot-v1", "CartPole-v1"]), Some("CartPole-v1".to_owned()));
/// assert_eq!(rl_env::nearest("Breakout", ["Nim-v0"]), None);
/// assert_eq!(rl_env::nearest("Nope-v0", ["Crane-v0", "Nim-v0"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&stem(name), &stem(k)), k))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.to_owned())
}

/// A name in small letters, without its version.
fn stem(name: &str) -> String {
    let is_version = |version: &str| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
    let stem =
        name.rsplit_once("-v").filter(|(_, version)| is_version(version)).map_or(name, |(stem, _)| stem);
    stem.to_lowercase()
}
