//! An environment's name becomes an environment: a registered one, or one of Python's Gymnasium.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use rl_env::{EnvError, EnvSpec};
use rl_gym::{GymError, GymName, Interpreter};

use crate::Known;
use crate::args::GymArgs;
use crate::config_file::in_shell;
use crate::errors::usage;

/// The environments of these names, in their order. An interpreter is started for each of Python's, to ask what it is.
///
/// # Errors
///
/// An error of usage for a name nobody knows, and for options of Python's environments where none of them is one.
pub(crate) fn find_all(known: &Known, ids: &[String], args: &GymArgs) -> Result<Vec<EnvSpec>> {
    if let Some((flag, first)) = ids.first().and_then(|id| Some((args.given()?, id)))
        && !ids.iter().any(|id| GymName::is_meant_by(id))
    {
        bail!(usage(format!(
            "{flag} is for environments of Python's Gymnasium, such as gym:Hopper-v5, not for {first}"
        )));
    }
    ids.iter().map(|id| find_one(known, id, args)).collect()
}

/// The environment of this name.
///
/// # Errors
///
/// As [`find_all`].
pub(crate) fn find(known: &Known, id: &str, args: &GymArgs) -> Result<EnvSpec> {
    let mut found = find_all(known, &[id.to_owned()], args)?;
    Ok(found.remove(0))
}

fn find_one(known: &Known, id: &str, args: &GymArgs) -> Result<EnvSpec> {
    if !GymName::is_meant_by(id) {
        return known.envs.get(id).cloned().map_err(|e| unknown(id, &e));
    }
    let mut name: GymName = id.parse().map_err(usage)?;
    if let Some(json) = &args.env_kwargs {
        let kwargs: serde_json::Map<_, _> = serde_json::from_str(json).map_err(|e| {
            usage(format!("--env-kwargs {json}: expected a JSON object such as {{\"gravity\": 3.7}} ({e})"))
        })?;
        name.options.kwargs.extend(kwargs);
    }
    name.options.wrappers.extend(args.env_wrapper.iter().cloned());
    // Of a saved policy the name has them already.
    let new = args.env_info.iter().filter(|key| !name.options.info.contains(key));
    let new: Vec<String> = new.cloned().collect();
    name.options.info.extend(new);
    rl_gym::spec(&name, &args.interpreter()).map_err(told)
}

/// What is said of a name that no environment has.
fn unknown(id: &str, error: &EnvError) -> anyhow::Error {
    if id.contains('=') {
        return usage(format!("{id:?} is no environment; a setting is given as `--set {}`", in_shell(id)));
    }
    if id.contains(',') {
        let each: Vec<String> = id.split(',').map(|id| format!("--env {}", id.trim())).collect();
        return usage(format!("{id:?} is no environment; in a comparison several are {}", each.join(" ")));
    }
    // Such as Gymnasium's names are, unless it is a slip in one of ours.
    let is_nearest = matches!(error, EnvError::Unknown { nearest: Some(_), .. });
    let is_like_theirs = id.rsplit_once("-v").is_some_and(|(_, version)| version.parse::<u32>().is_ok());
    let hint = if is_like_theirs && !is_nearest {
        format!("; Python's Gymnasium may have it: gym:{id}")
    } else {
        String::new()
    };
    usage(format!("{error}{hint}"))
}

/// What Gymnasium has registered, where the name asks for that: `gym`, or `gym:MODULE`.
///
/// # Errors
///
/// An error of usage for another name, and whatever keeps the interpreter from answering.
pub(crate) fn registered(whose: &str, args: &GymArgs) -> Result<Vec<rl_gym::Registered>> {
    let module = match whose.split_once(':') {
        None if whose == "gym" => None,
        Some(("gym", module)) if !module.is_empty() => Some(module),
        _ => bail!(usage(format!("{whose:?}: expected gym, or gym:MODULE"))),
    };
    rl_gym::registered(&args.interpreter(), module).map_err(told)
}

/// Whether the user can mend it by calling otherwise.
fn told(error: GymError) -> anyhow::Error {
    match error {
        GymError::Name { .. }
        | GymError::Start { .. }
        | GymError::NoGymnasium { .. }
        | GymError::Refused { .. } => usage(error),
        error => error.into(),
    }
}

impl GymArgs {
    /// The first of these options that was given and says what an environment is.
    fn given(&self) -> Option<&'static str> {
        let kwargs = self.env_kwargs.as_ref().map(|_| "--env-kwargs");
        let wrapper = || (!self.env_wrapper.is_empty()).then_some("--env-wrapper");
        let python = || self.python.as_ref().map(|_| "--python");
        let workers = || self.env_workers.map(|_| "--env-workers");
        let info = || (!self.env_info.is_empty()).then_some("--env-info");
        kwargs.or_else(wrapper).or_else(info).or_else(python).or_else(workers)
    }

    fn interpreter(&self) -> Interpreter {
        Interpreter {
            workers: self.env_workers.map(|n| n as usize),
            timeout: Duration::from_secs(self.env_timeout),
            ..Interpreter::new(self.python())
        }
    }

    /// What was asked for, else that of the active virtual environment, else the one that is found first.
    fn python(&self) -> OsString {
        if let Some(python) = &self.python {
            return python.clone().into();
        }
        let inside = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
        match env::var_os("VIRTUAL_ENV").filter(|dir| !dir.is_empty()) {
            Some(dir) => Path::new(&dir).join(inside).into(),
            None => "python3".into(),
        }
    }
}
