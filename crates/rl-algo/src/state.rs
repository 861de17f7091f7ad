//! States of what several algorithms have.

use rl_nn::{Data, NnError, State};
use rl_optim::Adam;

/// The state of an optimiser; its constants are settings.
///
/// # Errors
///
/// Never: [`NnError`] because a state can refuse values.
pub fn adam_state(adam: &Adam<f32>) -> Result<State, NnError> {
    let state = State::new("Adam", 1).with("t", adam.t)?;
    Ok(state.with_array("m", Data::F32(adam.m.clone())).with_array("v", Data::F32(adam.v.clone())))
}

/// Puts an optimiser back into a state.
///
/// # Errors
///
/// [`NnError::Saved`] for a state of something else, or for another number of parameters; the optimiser is as before then.
pub fn restore_adam(adam: &mut Adam<f32>, state: &State) -> Result<(), NnError> {
    let state = state.owned_by("Adam", 1)?;
    let (t, n) = (state.value("t")?, adam.m.len());
    let (m, v) = (state.f32s("m", n)?, state.f32s("v", n)?);
    adam.m.copy_from_slice(m);
    adam.v.copy_from_slice(v);
    adam.t = t;
    Ok(())
}
