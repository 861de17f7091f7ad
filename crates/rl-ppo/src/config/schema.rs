//! PPO's settings, one by one.

use rl_algo::{Bounds, Config, Kind, Schema, Setting};
use rl_optim::Schedule;

use super::PpoConfig;

const SCHEDULE: Kind = Kind::Schedule(Bounds::POSITIVE);
const SCHEDULE_OR_NONE: Kind = Kind::OneOf(&[SCHEDULE, Kind::None]);
const POSITIVE: Kind = Kind::Real(Bounds::POSITIVE);
const POSITIVE_OR_NONE: Kind = Kind::OneOf(&[POSITIVE, Kind::None]);
const WEIGHT: Kind = Kind::Real(Bounds::NON_NEGATIVE);
const COUNT: Kind = Kind::integer_from(1);
const DECAY: Kind = Kind::Real(Bounds::from_below(0.0, 1.0));
const ABOVE_ONE: Kind = Kind::OneOf(&[Kind::Real(Bounds::open(1.0, f64::INFINITY)), Kind::None]);
const NORMALIZE: Kind = Kind::OneOf(&[Kind::Bool, Kind::Choice(&["batch"])]);

const SB3: &str = "Stable-Baselines3";

impl Config for PpoConfig {
    fn schedules(&mut self) -> Vec<(&'static str, &mut Schedule)> {
        let always = [("learning_rate", &mut self.learning_rate), ("ent_coef", &mut self.ent_coef)];
        let perhaps = [
            ("clip_range", &mut self.clip_range),
            ("clip_range_high", &mut self.clip_range_high),
            ("clip_range_vf", &mut self.clip_range_vf),
        ];
        let there = perhaps.into_iter().filter_map(|(key, schedule)| Some((key, schedule.as_mut()?)));
        always.into_iter().chain(there).collect()
    }

    fn schema() -> Schema {
        let settings = vec![
            Setting::new("learning_rate", SCHEDULE, "Adam's learning rate; the first one where desired_kl is set.").log(),
            Setting::new("batch_size", COUNT, "Rows of a minibatch.").log(),
            Setting::new("n_epochs", COUNT, "Passes over the rollout.").log(),
            Setting::new(
                "clip_range",
                SCHEDULE_OR_NONE,
                "How far the probability ratio may move from 1 before its gradient is cut.",
            )
            .log(),
            Setting::new(
                "clip_range_high",
                SCHEDULE_OR_NONE,
                "The same upwards; none for clip_range both ways (Yu et al. 2025, DAPO: 0.28 beside 0.2).",
            )
            .log()
            .from_source("Schulman et al. 2017"),
            Setting::new(
                "dual_clip",
                ABOVE_ONE,
                "Beyond this ratio a bad action counts no further; none for never (Ye et al. 2020: 3; Tianshou's key).",
            )
            .from_source("Schulman et al. 2017"),
            Setting::new(
                "kl_coef",
                Kind::OneOf(&[WEIGHT, Kind::None]),
                "Weight of KL(old‖new) in the loss, exact, at first (TRL's key; RLlib: kl_coeff); none for no such term.",
            )
            .log()
            .from_source("Schulman et al. 2017"),
            Setting::new(
                "kl_target",
                POSITIVE_OR_NONE,
                "The KL of an update around which kl_coef is doubled and halved (RLlib's key); none for a fixed one.",
            )
            .log()
            .from_source("Schulman et al. 2017"),
            Setting::new(
                "clip_range_vf",
                SCHEDULE_OR_NONE,
                "How far a value may move from the old one before its gradient is cut; none for no limit.",
            )
            .log(),
            Setting::new(
                "vf_clip",
                Kind::Choice(&["max", "clipped"]),
                "The loss of a clipped value: the larger of both squared errors, or the clipped one alone (Stable-Baselines3).",
            )
            .from_source("OpenAI baselines"),
            Setting::new("ent_coef", Kind::Schedule(Bounds::NON_NEGATIVE), "Weight of the entropy bonus.").log(),
            Setting::new("vf_coef", WEIGHT, "Weight of the value loss."),
            Setting::new(
                "max_grad_norm",
                POSITIVE_OR_NONE,
                "The gradient's norm is clipped to this; none for never.",
            )
            .log(),
            Setting::new(
                "max_grad_norm_each",
                Kind::Bool,
                "Whether actor and critic are clipped each by its own gradient's norm rather than by that of both.",
            ),
            Setting::new(
                "target_kl",
                POSITIVE_OR_NONE,
                "An update stops when the estimated KL of a minibatch exceeds 1.5 times this.",
            )
            .log(),
            Setting::new(
                "kl_estimator",
                Kind::Choice(&["k1", "k3", "exact"]),
                "How target_kl measures: k1 = mean(-log r) (Spinning Up), k3 = mean(r - 1 - log r), or in closed form.",
            ),
            Setting::new(
                "desired_kl",
                POSITIVE_OR_NONE,
                "A minibatch of exact KL above twice this divides the learning rate by 1.5, one below half multiplies it (rsl_rl: 0.01); none for never.",
            )
            .log()
            .from_source("Schulman et al. 2017"),
            Setting::new(
                "normalize_advantage",
                NORMALIZE,
                "Whether each minibatch normalises its advantages, or the whole batch once (\"batch\": baselines' ppo1, Spinning Up).",
            ),
            Setting::new(
                "recompute_advantage",
                Kind::Bool,
                "Whether every epoch estimates advantages anew (Andrychowicz et al. 2021, section 3.5; Tianshou's key).",
            )
            .from_source("Schulman et al. 2017"),
            Setting::new("adam_beta1", DECAY, "Adam's decay of the first moment.").from_source("Kingma and Ba 2015"),
            Setting::new("adam_beta2", DECAY, "Adam's decay of the second moment.").from_source("Kingma and Ba 2015"),
            Setting::new("adam_eps", POSITIVE, "What Adam adds to its divisor.").log(),
            Setting::new("weight_decay", WEIGHT, "AdamW's decoupled decay of all parameters (Loshchilov and Hutter 2019).")
                .log(),
        ];
        Schema::of(&PpoConfig::default(), SB3, settings)
    }
}

impl PpoConfig {
    /// What settings `ppo-kl` has: the same with the defaults of [`kl_penalty`](Self::kl_penalty).
    pub(crate) fn kl_penalty_schema() -> Schema {
        let mut defaults = rl_algo::to_settings(&PpoConfig::kl_penalty());
        defaults.retain(|key, _| ["clip_range", "kl_coef", "kl_target"].contains(&&**key));
        PpoConfig::schema().with_defaults(&defaults, "Schulman et al. 2017")
    }
}
