//! What follows the divergence of the new policy from the old one: the penalty's weight, and the learning rate.

/// β of the next update, after one of divergence `d`:
///
/// ```text
/// d < d_targ / 1.5    β / 2
/// d > 1.5 d_targ      2 β
/// ```
///
/// within `[1e-8, 1e8]`, where it cannot lose itself over many updates.
///
/// # Source
///
/// Schulman et al. (2017), section 4; the paper has no bounds.
pub(crate) fn penalty(beta: f64, d: f64, d_targ: f64) -> f64 {
    let next = if d < d_targ / 1.5 {
        beta / 2.0
    } else if d > 1.5 * d_targ {
        2.0 * beta
    } else {
        return beta;
    };
    next.clamp(1e-8, 1e8)
}

/// The learning rate after a minibatch of divergence `kl`:
///
/// ```text
/// kl > 2 desired          max(lr / 1.5, 1e-5)
/// 0 < kl < desired / 2    min(1.5 lr, 1e-2)
/// ```
///
/// # Source
///
/// Rudin et al. (2022), "Learning to walk in minutes", and its code, legged_gym with rsl_rl (`schedule = "adaptive"`); rl_games' adaptive
/// schedule is the same with the bounds 1e-6 and 1e-2. A rate that the user chose outside the bounds is not moved away from where the divergence says: beyond
/// one of them it stays until the other direction is asked for.
pub(crate) fn learning_rate(lr: f64, kl: f64, desired: f64) -> f64 {
    if kl > 2.0 * desired {
        (lr / 1.5).max(lr.min(1e-5))
    } else if kl > 0.0 && kl < desired / 2.0 {
        (lr * 1.5).min(lr.max(1e-2))
    } else {
        lr
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the values compared are exact")]
mod tests {
    use super::*;

    #[test]
    fn the_penalty_is_doubled_and_halved_around_its_target() {
        for (d, factor) in
            [(0.0, 0.5), (0.0065, 0.5), (0.0068, 1.0), (0.01, 1.0), (0.0149, 1.0), (0.0151, 2.0)]
        {
            assert_eq!(penalty(3.0, d, 0.01), 3.0 * factor, "{d}");
        }
        // At the bounds themselves nothing changes.
        assert_eq!((penalty(3.0, 1.0, 1.5), penalty(3.0, 2.25, 1.5)), (3.0, 3.0));
        assert_eq!(penalty(1e8, 1.0, 0.01), 1e8);
        assert_eq!(penalty(1e-8, 0.0, 0.01), 1e-8);
        // One that the user chose is not moved for lying outside.
        assert_eq!(penalty(0.0, 0.01, 0.01), 0.0);
    }

    #[test]
    fn the_learning_rate_follows_within_its_bounds() {
        for (kl, next) in
            [(0.021, 2e-3), (0.02, 3e-3), (0.005, 3e-3), (0.0049, 4.5e-3), (0.0, 3e-3), (f64::NAN, 3e-3)]
        {
            let got = learning_rate(3e-3, kl, 0.01);
            assert!((got - next).abs() < 1e-15, "{kl}: {got}");
        }
        assert_eq!(learning_rate(1.1e-5, 1.0, 0.01), 1e-5);
        assert_eq!(learning_rate(9e-3, 1e-3, 0.01), 1e-2);
        // Outside of them it goes the way it should, or stays: never the other way.
        let (much, little) = (1.0, 1e-3);
        assert_eq!(learning_rate(3e-6, much, 0.01), 3e-6);
        assert_eq!(learning_rate(3e-6, little, 0.01), 4.5e-6);
        assert_eq!(learning_rate(3e-2, little, 0.01), 3e-2);
        assert_eq!(learning_rate(3e-2, much, 0.01), 2e-2);
    }
}
