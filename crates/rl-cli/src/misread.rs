//! A command line that clap does not take: in one line, with what would be right.

mod foreign;

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use rl_algo::AlgorithmRegistry;

use crate::args::Cli;
use crate::config_file::in_shell;
use crate::errors::one_line;
use crate::output::program;
use crate::settings::{keys, setting_meant};

/// Commands that take settings.
const WITH_SETTINGS: &[&str] = &["train", "compare", "show-config"];

/// What is wrong, with its mending where that is known, and whose help says more.
pub(crate) fn told(e: &clap::Error, args: &[OsString], algorithms: &AlgorithmRegistry) -> String {
    let text = e.render().to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("Usage:")).collect();
    if lines.is_empty() || !lines[0].starts_with("error:") {
        return format!("no command given; `{} --help` lists them", program());
    }
    let command = command_in(args);
    let flag = text_of(e, ContextKind::InvalidArg).filter(|flag| flag.starts_with("--"));
    let flag = flag.map(|flag| flag.split('=').next().unwrap_or_default().to_owned());
    let message = match (e.kind(), flag) {
        (ErrorKind::UnknownArgument, Some(flag)) if foreign::told(&flag, command.as_deref()).is_some() => {
            let hint = foreign::told(&flag, command.as_deref()).unwrap_or_default();
            format!("unexpected argument '{flag}'; {}", hint.replace("VALUE", &value_of(&flag, args)))
        }
        (ErrorKind::UnknownArgument, Some(flag)) => {
            let takes_settings = command.as_deref().is_some_and(|name| WITH_SETTINGS.contains(&name));
            let similar = text_of(e, ContextKind::SuggestedArg);
            let known: Vec<String> = match takes_settings {
                true => algorithms.iter().flat_map(keys).collect(),
                false => Vec::new(),
            };
            let hint = match setting_meant(&flag, &known, similar.is_none()) {
                Some(key) => {
                    let value = value_of(&flag, args);
                    // A list, which this setting alone may be.
                    let value = if key == "net_arch" && !value.starts_with(['[', '{']) {
                        format!("[{value}]")
                    } else {
                        value
                    };
                    format!("; settings are given as `--set {}`", in_shell(&format!("{key}={value}")))
                }
                None => similar.map_or_else(String::new, |similar| format!("; there is '{similar}'")),
            };
            format!("unexpected argument '{flag}'{hint}")
        }
        (ErrorKind::UnknownArgument, None) => {
            let argument = text_of(e, ContextKind::InvalidArg).unwrap_or_default();
            let hint = stray(&argument, command.as_deref(), args).unwrap_or_default();
            format!("unexpected argument '{argument}'{hint}")
        }
        (ErrorKind::ArgumentConflict, _) if resumes(e) => format!(
            "{}; a run that goes on has the settings it began with: what may change is --total-steps, --eval-freq, --no-eval, --histograms, --film, \
             --stop-at-reward, --max-hours and --threads",
            one_line(lines[0]).replace("error: ", "")
        ),
        (ErrorKind::InvalidSubcommand, _) if foreign::command(&invalid_subcommand(e)).is_some() => {
            let name = invalid_subcommand(e);
            let meant = foreign::command(&name).unwrap_or_default().replace("PROGRAM", program());
            format!("unrecognized subcommand '{name}'; {meant}")
        }
        _ => {
            let lines: Vec<&str> =
                lines.into_iter().filter(|line| !line.starts_with("For more information")).collect();
            let text = lines.join(" ").replace("invalid digit found in string", "expected a whole number");
            one_line(&text.replace("error: ", "").replace(" tip:", "; tip:"))
        }
    };
    let help = command.map_or_else(String::new, |name| format!("{name} "));
    format!("{message}; see `{} {help}--help`", program())
}

fn text_of(e: &clap::Error, kind: ContextKind) -> Option<String> {
    match e.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn invalid_subcommand(e: &clap::Error) -> String {
    text_of(e, ContextKind::InvalidSubcommand).unwrap_or_default()
}

/// Whether it is about what stands beside `--resume`.
fn resumes(e: &clap::Error) -> bool {
    let mut told =
        [ContextKind::InvalidArg, ContextKind::PriorArg].into_iter().filter_map(|kind| text_of(e, kind));
    told.any(|arg| arg.starts_with("--resume"))
}

/// What was meant by an argument that is no flag with two hyphens.
fn stray(argument: &str, command: Option<&str>, args: &[OsString]) -> Option<String> {
    let command = command?;
    // As it was written: of `-seed`, clap tells the `-s`.
    let written: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let begins =
        |arg: &&&str| arg.starts_with(argument) && argument.starts_with('-') && !arg.starts_with("--");
    let whole = written.iter().find(|arg| **arg == argument).or_else(|| written.iter().find(begins));
    let whole = whole.copied().unwrap_or(argument);
    let name = whole.split('=').next().unwrap_or_default();
    if let Some(hint) = foreign::told(name, Some(command)) {
        return Some(format!("; {}", hint.replace("VALUE", &value_of(name, args))));
    }
    let commands = Cli::command();
    let flags = || commands.find_subcommand(command).into_iter().flat_map(clap::Command::get_arguments);
    let takes_value = |flag: &str| {
        let is_it =
            |arg: &&clap::Arg| arg.get_long().is_some_and(|long| Some(long) == flag.strip_prefix("--"));
        flags().find(is_it).is_some_and(|arg| arg.get_action().takes_values())
    };
    // A value that stands apart from a flag that it must be written together with, or that looks like a flag.
    let at = written.iter().position(|arg| *arg == whole);
    let before = at.and_then(|at| written.get(at.checked_sub(1)?)).filter(|flag| takes_value(flag));
    if let Some(flag) = before {
        if *flag == "--histograms" {
            return Some(format!("; its number is written --histograms={whole}"));
        }
        if whole.parse::<f64>().is_ok_and(|x| x < 0.0) {
            return Some(format!("; {flag} takes no negative number"));
        }
    }
    // It, or what it stands behind and whose place it was to have.
    let before = args.iter().filter_map(|arg| arg.to_str()).take_while(|arg| *arg != argument);
    let mut flag = "";
    let setting = before.chain([argument]).find(|arg| {
        let is_value = std::mem::replace(&mut flag, arg).starts_with("--");
        let key = arg.split_once('=').map_or("", |(key, _)| key);
        !is_value && !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))
    });
    if let Some(setting) = setting.filter(|_| WITH_SETTINGS.contains(&command)) {
        return Some(format!("; settings are given as `--set {}`", in_shell(setting)));
    }
    let long = name.trim_start_matches('-');
    let is_known =
        whole.starts_with('-') && flags().filter_map(clap::Arg::get_long).any(|known| known == long);
    is_known.then(|| format!("; there is '--{long}'"))
}

/// The command that the arguments, of which the first is the program's name, are of.
fn command_in(args: &[OsString]) -> Option<String> {
    let known = Cli::command();
    let mut names = args.iter().skip(1).filter_map(|arg| arg.to_str());
    names.find(|name| known.find_subcommand(name).is_some()).map(str::to_owned)
}

/// The value that stands behind a flag.
fn value_of(flag: &str, args: &[OsString]) -> String {
    let mut args = args.iter().filter_map(|arg| arg.to_str());
    let value = args.find_map(|arg| match arg.strip_prefix(flag)? {
        "" => Some(None),
        rest => rest.strip_prefix('=').map(Some),
    });
    let value = match value {
        Some(None) => args.next().filter(|next| !next.starts_with("--")),
        value => value.flatten(),
    };
    value.unwrap_or("VALUE").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_stands_behind_the_flag() {
        let value = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(Into::into).collect();
            value_of("--lr", &args)
        };
        for (line, expected) in [
            ("rl train ppo --lr 0.1", "0.1"),
            ("rl train ppo --lr=0.1", "0.1"),
            ("rl train ppo --lr -3", "-3"),
            ("rl train ppo --lr --quiet", "VALUE"),
            ("rl train ppo --lr", "VALUE"),
        ] {
            assert_eq!(value(line), expected, "{line}");
        }
    }
}
