//! What people write who come from Stable-Baselines3, rl-zoo or CleanRL, and what it is called here.

/// Their flag, what may stand for it here, and the commands it is about. `VALUE` is what stands behind the flag.
const FLAGS: &[(&[&str], &str, &[&str])] = &[
    (
        &["--algo", "--algorithm"],
        "the algorithm comes first and without a flag, as in `train VALUE CartPole-v1`",
        &["train", "show-config"],
    ),
    (&["--algo", "--algorithm"], "algorithms come without a flag, as in `compare VALUE ppo`", &["compare"]),
    (
        &["--env", "--env-id"],
        "the environment follows the algorithm without a flag, as in `train ppo VALUE`",
        &["train", "show-config"],
    ),
    (&["--env-id"], "here it is --env VALUE", &["compare"]),
    (
        &["-n", "--n-timesteps", "--timesteps", "--total-timesteps", "--steps"],
        "here it is --total-steps VALUE",
        &["train", "compare", "show-config"],
    ),
    (&["--seeds", "--num-seeds"], "`compare` trains several seeds: `compare ppo --seeds VALUE`", &["train"]),
    (
        &["--tensorboard-log", "--logdir", "-tb"],
        "every run logs for TensorBoard in its directory; --out says where these go",
        &["train", "compare"],
    ),
    (
        &["-f", "--log-folder", "--folder", "--save-path", "--log-dir"],
        "here it is --out VALUE",
        &["train", "compare"],
    ),
    (
        &["--verbose", "-v", "--progress", "-P"],
        "progress is shown unless there is --quiet",
        &["train", "compare"],
    ),
    (
        &["--device", "--cuda"],
        "everything is computed on the processor, with --threads of them",
        &["train", "compare"],
    ),
    (
        &["--policy"],
        "a policy's networks are settings: net_arch, activation, features, as in `--set net_arch=[64,64]`",
        &["train", "compare", "show-config"],
    ),
    (&["--deterministic"], "policies act deterministically unless there is --stochastic", &["eval"]),
    (
        &["--hyperparams", "-params", "--hyperparameters", "--policy-kwargs"],
        "settings are given one by one as `--set KEY=VALUE`, or all in a file as --config FILE.toml",
        &["train", "compare"],
    ),
    (
        &["-i", "--trained-agent"],
        "--init VALUE begins with a saved policy's parameters, --resume RUN_DIR goes on with a run",
        &["train"],
    ),
    (&["--save-freq"], "here it is `--set checkpoint_freq=VALUE`", &["train", "compare"]),
    (&["--n-jobs", "--num-threads"], "here it is --threads VALUE", &["train", "compare"]),
    (&["--n-eval-episodes", "--n-episodes"], "here it is --episodes VALUE", &["eval", "play"]),
    (
        &["--eval-episodes", "--n-eval-episodes"],
        "an evaluation has 20 episodes, and the last one of a run 100",
        &["train", "compare"],
    ),
    (&["--env", "--env-id"], "a policy knows its environment", &["eval", "play"]),
    (
        &["--track", "--wandb-project-name"],
        "runs are logged in files: TensorBoard's, and progress.csv",
        &["train", "compare"],
    ),
];

/// Their command, and how the same is done here. `PROGRAM` is the program's name.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["resume", "continue"], "`PROGRAM train --resume RUN_DIR` goes on with a run"),
    (&["enjoy", "render", "watch"], "`PROGRAM play RUN_DIR --gif FILE.gif` draws what a policy does"),
    (&["evaluate", "test"], "`PROGRAM eval RUN_DIR` evaluates the policy a run left"),
    (&["help"], "`PROGRAM --help` lists the commands, `PROGRAM COMMAND --help` says more of one"),
    (&["learn", "run"], "`PROGRAM train ALGO ENV` trains"),
    (&["plot", "plots"], "`PROGRAM report DIR` draws the runs below a directory"),
    (&["list", "ls"], "`PROGRAM runs`, `PROGRAM envs` and `PROGRAM presets` list what there is"),
];

/// What stands for somebody else's flag in a command.
pub(super) fn told(flag: &str, command: Option<&str>) -> Option<&'static str> {
    let fits =
        |commands: &[&str]| commands.is_empty() || command.is_some_and(|name| commands.contains(&name));
    let (_, meant, _) = FLAGS.iter().find(|(flags, _, commands)| flags.contains(&flag) && fits(commands))?;
    Some(meant)
}

/// What stands for somebody else's command.
pub(super) fn command(name: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(names, _)| names.contains(&name)).map(|(_, meant)| *meant)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    /// What is told as foreign is none of ours, and what is told as ours is.
    #[test]
    fn what_is_foreign_is_not_ours() {
        let cli = Cli::command();
        for (flags, meant, commands) in FLAGS {
            for name in *commands {
                let command = cli.find_subcommand(name).unwrap();
                let longs: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
                assert!(flags.iter().all(|flag| !longs.contains(&flag.trim_start_matches('-'))), "{flags:?}");
                let named = meant.split([' ', ',', ';']).filter_map(|word| word.strip_prefix("--"));
                for flag in named.filter(|flag| !flag.is_empty() && !meant.contains("`compare")) {
                    assert!(longs.contains(&flag), "{name} has no --{flag}");
                }
            }
        }
        for (names, _) in COMMANDS {
            assert!(names.iter().all(|name| cli.find_subcommand(name).is_none()), "{names:?}");
        }
    }
}
