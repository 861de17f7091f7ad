//! What somebody may have meant.

/// The known name nearest to one that is not known, if any is near: the greatest Jaro-Winkler similarity, small and capital letters being the same, above
/// 0.75.
///
/// ```
/// assert_eq!(rl_env::nearest("cartpole-v1", ["Acrobot-v1", "CartPole-v1"]), Some("CartPole-v1".to_owned()));
/// assert_eq!(rl_env::nearest("Breakout", ["Nim-v0"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&name.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.to_owned())
}
