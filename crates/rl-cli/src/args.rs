//! The arguments as they are written: parsed, not yet understood.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use rl_algo::Kind;

use crate::settings::parse_value;

/// Train, compare and evaluate on-policy reinforcement learning with trust regions.
#[derive(Debug, Parser)]
#[command(name = "rl", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print one JSON document on stdout; what people read goes to stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Cli {
    /// The command line of the program of this name.
    pub(crate) fn command_as(program: &'static str) -> clap::Command {
        named(Cli::command(), program).name(program).bin_name(program)
    }

    /// The arguments of the program of this name, which help and errors call by it.
    ///
    /// # Errors
    ///
    /// clap's, also for a call for help.
    pub(crate) fn parse_as(
        program: &'static str,
        args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut command = Cli::command_as(program);
        let mut matches = command.try_get_matches_from_mut(args)?;
        Cli::from_arg_matches_mut(&mut matches).map_err(|e| e.format(&mut command))
    }
}

/// A command whose help, and that of its subcommands, calls the program by this name.
fn named(command: clap::Command, program: &'static str) -> clap::Command {
    let renamed = |help: &clap::builder::StyledStr| {
        help.to_string().replace("`rl ", &format!("`{program} ")).replace("/rl.1`", &format!("/{program}.1`"))
    };
    let command = match command.get_about().map(renamed) {
        Some(about) => command.about(about),
        None => command,
    };
    command
        .mut_args(|arg| match arg.get_help().map(renamed) {
            Some(help) => arg.help(help),
            None => arg,
        })
        .mut_subcommands(|subcommand| named(subcommand, program))
}

/// What reads a whole number of a range, both ends included; `1e5` is one.
fn count(from: u64, to: u64) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    let limit = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let kind = Kind::Integer { from: limit(from), to: limit(to) };
    move |text| {
        let number = kind.read(&parse_value(text)).and_then(|value| value.as_u64());
        number.ok_or_else(|| format!("expected {kind}"))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train an algorithm in an environment.
    Train(TrainArgs),
    /// Train several algorithms with several seeds and compare them.
    Compare(CompareArgs),
    /// Evaluate the policy a run left, or one of its checkpoints holds.
    Eval(EvalArgs),
    /// List the runs below a directory: how they ended, how far they got, whether they can go on.
    Runs(RunsArgs),
    /// Make one page of the runs below some directories: curves, intervals, what updates did, what failed. It opens without a network.
    Report(ReportArgs),
    /// Go through a run again up to one of its updates, and draw what that did: surrogate and divergence along its step.
    Inspect(InspectArgs),
    /// Say in what two runs differ: settings, results, the first number of their curves, the policy. Exit code 1 where they do, times aside.
    Diff(DiffArgs),
    /// Start TensorBoard over the runs below a directory, where it is installed.
    Tensorboard(TensorBoardArgs),
    /// Draw the policy a run left, or one of its checkpoints holds, as it plays.
    Play(PlayArgs),
    /// List the environments; `rl envs gym` those of Python's Gymnasium.
    Envs(EnvsArgs),
    /// Put an environment through its contract and print what it breaks; exit code 1 when it breaks anything.
    CheckEnv(CheckEnvArgs),
    /// List the presets.
    Presets,
    /// List every setting of an algorithm's runs: what it may be, its default and where that comes from.
    Settings(SettingsArgs),
    /// Print a run's settings, resolved, with where each comes from, as `--config` accepts them.
    ShowConfig(ShowConfigArgs),
    /// Print what makes a shell complete this command line.
    Completions(CompletionsArgs),
    /// Write the manual's pages into a directory.
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The directory of a run.
    pub(crate) a: PathBuf,
    /// That of the other.
    pub(crate) b: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The directory, made if it is not there: `man -l DIR/rl.1` shows the first page.
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The algorithm. [default: that of --config]
    #[arg(required_unless_present_any = ["resume", "config"])]
    pub(crate) algo: Option<String>,
    /// The environment; `rl envs` lists them. `gym:ID` is one of Python's Gymnasium. [default: that of --config]
    #[arg(required_unless_present_any = ["resume", "config"])]
    pub(crate) env: Option<String>,
    /// Go on with an interrupted run, or with a finished one for more --total-steps, from its newest checkpoint and with its settings.
    #[arg(long, value_name = "RUN_DIR", conflicts_with_all = ["algo", "env", "preset", "config", "set", "seed", "n_envs", "label", "init", "out"])]
    pub(crate) resume: Option<PathBuf>,
    /// Schedules of a run that goes on end with its new --total-steps, instead of those it began with.
    #[arg(long, requires = "resume")]
    pub(crate) extend_schedule: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The algorithms, each perhaps with a preset and settings of its own: ALGO, ALGO@PRESET, ALGO:key=value,key=value.
    #[arg(value_name = "ALGO", default_values_t = ["trpo".to_owned(), "ppo".to_owned()])]
    pub(crate) variants: Vec<String>,
    /// An environment; may be repeated. [default: that of --config, else CartPole-v1]
    #[arg(long = "env", value_name = "ENV")]
    pub(crate) envs: Vec<String>,
    /// How many seeds, from --seed on; intervals need five. [default: 5]
    #[arg(long, value_name = "N", value_parser = count(1, 1_000_000))]
    pub(crate) seeds: Option<u64>,
    /// Add seeds until the interval of every algorithm is this narrow; it stays valid under such stopping.
    #[arg(long, value_name = "WIDTH", conflicts_with = "seeds", allow_negative_numbers = true)]
    pub(crate) until: Option<f64>,
    /// The most seeds of --until.
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "until", value_parser = count(5, 1_000_000))]
    pub(crate) max_seeds: u64,
    /// The least and the greatest score there can be: --until is then about the mean's interval, not the IQM's.
    #[arg(long, value_name = "LOW,HIGH", requires = "until", allow_hyphen_values = true)]
    pub(crate) bounds: Option<String>,
    /// Run only the K-th of N parts; the parts' --out put together are the whole.
    #[arg(long, value_name = "K/N", conflicts_with = "until")]
    pub(crate) shard: Option<String>,
    /// No files of single runs: a line for each, summary and curve, in one table in --out.
    #[arg(long)]
    pub(crate) lean: bool,
    /// Run again what is finished already.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Compare finished runs instead: directories of runs, or that have some below them.
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = [
        "variants", "envs", "seeds", "until", "shard", "lean", "fresh", "preset", "config", "set", "seed", "total_steps", "n_envs",
        "eval_freq", "no_eval", "histograms", "film", "label", "stop_at_reward", "max_hours", "init", "threads",
    ])]
    pub(crate) runs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What a run's settings are made of. Later wins: defaults, preset, --config, --set, the other flags.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SettingArgs {
    /// Named settings; `rl presets` lists them. [default: best where it exists, else zoo, else sb3]
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// Settings from a file, as `rl show-config` prints them and every run leaves them.
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// One setting; `none` for no value, `lin_0.001` for a value that falls linearly to 0. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The seed everything random comes from. [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<String>,
    /// Environment steps of a run; the rollout in progress is finished.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) total_steps: Option<String>,
    /// Environments stepped together.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) n_envs: Option<String>,
    /// Environment steps between evaluations. [default: a tenth of the run]
    #[arg(long, value_name = "N", conflicts_with = "no_eval", allow_negative_numbers = true)]
    pub(crate) eval_freq: Option<String>,
    /// No evaluation at all.
    #[arg(long)]
    pub(crate) no_eval: bool,
    /// Write histograms of parameters and actions into the event file, at every update or at the first after every so many environment steps.
    #[arg(long, value_name = "STEPS", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option, reason = "clap's form of a flag with a value that may be left out")]
    pub(crate) histograms: Option<Option<String>>,
    /// Leave a film of an episode in the event file at every evaluation, among TensorBoard's images; of at most 500 steps.
    #[arg(long, conflicts_with = "no_eval")]
    pub(crate) film: bool,
    /// End a run at the first evaluation whose mean return reaches this.
    #[arg(long, value_name = "X", conflicts_with = "no_eval", allow_negative_numbers = true)]
    pub(crate) stop_at_reward: Option<String>,
    /// End a run after so many hours, evaluations included; one that goes on has as many again.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) max_hours: Option<String>,
    /// Begin with the parameters of a saved policy: its file, or the directory of its run. The critic begins anew.
    #[arg(long, value_name = "POLICY")]
    pub(crate) init: Option<String>,
    /// A name for runs with other settings than usual: their directory is ALGO-LABEL instead of ALGO.
    #[arg(long)]
    pub(crate) label: Option<String>,
    #[command(flatten)]
    pub(crate) gym: GymArgs,
}

/// What `train` and `compare` share.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Threads, over all runs; results do not depend on them. [default: all cores]
    #[arg(long, value_name = "N", value_parser = count(1, 1024))]
    pub(crate) threads: Option<u64>,
    /// Where the runs' directories go. [default: runs]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// No progress.
    #[arg(long)]
    pub(crate) quiet: bool,
    // At the end, for what follows would stand below the heading of the last part of it.
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

impl RunArgs {
    /// Where the runs' directories go.
    pub(crate) fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("runs"))
    }
}

/// How environments of Python's Gymnasium (`gym:ID`, `gym:MODULE:ID`, `gymvec:ID`) are made.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Environments of Python's Gymnasium")]
pub(crate) struct GymArgs {
    /// The Python they run in. [default: that of the active virtual environment, else python3]
    #[arg(long, value_name = "PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// Keyword arguments they are made with, as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) env_kwargs: Option<String>,
    /// A wrapper around each, or `atari` for the usual preprocessing of Atari games. May be repeated, the innermost first.
    #[arg(long, value_name = "MODULE:FUNCTION")]
    pub(crate) env_wrapper: Vec<String>,
    /// Keys of `info` to log, with numbers or flags, separated by commas: KEY for the last value of an episode, KEY=mean or KEY=sum for those of its steps.
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub(crate) env_info: Vec<String>,
    /// Processes that step them; results do not depend on it. [default: as many as pay]
    #[arg(long, value_name = "N", value_parser = count(1, 1024))]
    pub(crate) env_workers: Option<u64>,
    /// Seconds without an answer after which an environment counts as hung.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = count(1, 1_000_000))]
    pub(crate) env_timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct EnvsArgs {
    /// `gym` for what Python's Gymnasium has registered, `gym:MODULE` for that with a module imported first. [default: the built-in ones]
    pub(crate) whose: Option<String>,
    #[command(flatten)]
    pub(crate) gym: GymArgs,
}

/// A policy that a run left.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// A run's directory, or the `checkpoints/best` in it.
    pub(crate) run_dir: PathBuf,
    /// The policy of the run's newest checkpoint, or of that at this step, instead of the latest it saved.
    #[arg(long, value_name = "STEP", num_args = 0..=1, value_parser = count(0, u64::MAX))]
    #[allow(clippy::option_option, reason = "clap's form of a flag with a value that may be left out")]
    pub(crate) checkpoint: Option<Option<u64>>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// How many episodes.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count(1, 10_000_000))]
    pub(crate) episodes: u64,
    /// Sample actions instead of taking the most probable ones.
    #[arg(long)]
    pub(crate) stochastic: bool,
    #[command(flatten)]
    pub(crate) gym: GymArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// The directory.
    #[arg(default_value = "runs")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Directories that have runs below them: ours, tables of `rl compare --lean`, a `progress.csv` or `monitor.csv` of Stable-Baselines3.
    #[arg(required = true, value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    /// A page, or every picture in a file of its own.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Html)]
    pub(crate) format: ReportFormat,
    /// The page's file, or the pictures' directory. [default: report.html, or report-pictures, in the first DIR]
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
}

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReportFormat {
    /// One page.
    Html,
    /// A vector graphic for every chart.
    Svg,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A run's directory.
    pub(crate) run_dir: PathBuf,
    /// Which update, from 1.
    #[arg(long, value_name = "N", value_parser = count(1, u64::MAX))]
    pub(crate) update: u64,
    /// The file: a page, or a picture where it ends in .svg. [default: update-N.html in the run's directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) gym: GymArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TensorBoardArgs {
    /// The directory.
    #[arg(default_value = "runs")]
    pub(crate) dir: PathBuf,
    /// The Python whose TensorBoard it is. [default: `tensorboard` on the path, else that of python3]
    #[arg(long, value_name = "PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// What else TensorBoard is told, such as --port 6007.
    #[arg(last = true, value_name = "OPTION")]
    pub(crate) more: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PlayArgs {
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) files: PictureFiles,
    /// The seed of the starts. [default: the run's, whose evaluations start alike]
    #[arg(long, value_name = "N", value_parser = count(0, u64::MAX))]
    pub(crate) seed: Option<u64>,
    /// How many episodes.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count(1, 1000))]
    pub(crate) episodes: u64,
    /// Steps after which an episode is left.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = count(1, u64::MAX))]
    pub(crate) max_steps: u64,
    /// Pictures a second in the GIF.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) fps: u16,
    #[command(flatten)]
    pub(crate) gym: GymArgs,
}

/// Where pictures go: files that do not exist yet.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct PictureFiles {
    /// The episodes as a film.
    #[arg(long, value_name = "FILE")]
    pub(crate) gif: Option<PathBuf>,
    /// The last state as a picture.
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckEnvArgs {
    /// The environment; `rl envs` lists them.
    pub(crate) env: String,
    /// A rule to pass over, such as truncation (repeatable).
    #[arg(long, value_name = "RULE")]
    pub(crate) waive: Vec<rl_env::Rule>,
    #[command(flatten)]
    pub(crate) gym: GymArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// The algorithm.
    pub(crate) algo: String,
}

#[derive(Debug, Args)]
pub(crate) struct ShowConfigArgs {
    /// The algorithm.
    pub(crate) algo: String,
    /// The environment.
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}
