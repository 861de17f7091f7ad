//! Runs that begin with a saved policy.

use std::path::Path;

use anyhow::{Context, Result};
use rl_nn::Builders;
use rl_train::{Policy, check_warm_start};

use crate::commands::check_place;
use crate::errors::usage;
use crate::run_config::RunConfig;

/// The policy that a run begins with, if it is to begin with one.
///
/// # Errors
///
/// When it cannot be read.
pub(crate) fn policy(config: &RunConfig, builders: &Builders) -> Result<Option<Policy>> {
    let Some(init) = &config.init else { return Ok(None) };
    let path = Path::new(init);
    let policy = check_place(path, true).and_then(|()| Ok(Policy::load_with(path, builders)?));
    Ok(Some(policy.with_context(|| format!("init = {init:?}"))?))
}

/// Checks that the run can begin with the policy that it is to begin with.
///
/// # Errors
///
/// When the policy cannot be read, and an error of usage that names what differs where it is another one than the run's agent will have.
pub(crate) fn check(config: &RunConfig, builders: &Builders) -> Result<()> {
    let Some(saved) = policy(config, builders)? else { return Ok(()) };
    let agent = rl_algo::design(&config.env.observation_space, &config.env.action_space, &config.net)?;
    let init = config.init.as_deref().unwrap_or_default();
    let trained_in = match saved.env() {
        env if env == config.env.id => String::new(),
        env => format!(", which was trained in {env}"),
    };
    check_warm_start(&saved, &agent.policy_model()?, &config.train)
        .map_err(|e| usage(format!("init = {init:?}{trained_in}: {e}")))
}
