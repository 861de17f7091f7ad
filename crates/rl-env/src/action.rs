//! Actions as slices: one environment's ([`ActionRef`]), a whole vector of environments' ([`ActionsRef`]), and the
//! typed view an [`crate::Env`] receives ([`EnvAction`]).

use crate::{EnvError, Space};

/// One environment's action, with its type erased.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionRef<'a> {
    /// Indices: one for `Discrete`, one a dimension for `MultiDiscrete`, zeros and ones for `MultiBinary`.
    Discrete(&'a [usize]),
    /// Reals, for `Box`.
    Continuous(&'a [f32]),
}

/// The actions of `N` environments, row-major `[N, width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionsRef<'a> {
    /// Indices, see [`ActionRef::Discrete`].
    Discrete(&'a [usize]),
    /// Reals, see [`ActionRef::Continuous`].
    Continuous(&'a [f32]),
}

impl<'a> ActionsRef<'a> {
    /// The number of elements over all environments.
    pub fn len(self) -> usize {
        match self {
            ActionsRef::Discrete(a) => a.len(),
            ActionsRef::Continuous(a) => a.len(),
        }
    }

    /// Whether there is no element at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The action of environment `i` when every action has `width` elements.
    ///
    /// # Panics
    ///
    /// If row `i` lies outside the slice; [`crate::VecEnv::step`] checks the length once for all rows.
    #[inline]
    pub fn row(self, i: usize, width: usize) -> ActionRef<'a> {
        let rows = i * width..(i + 1) * width;
        match self {
            ActionsRef::Discrete(a) => ActionRef::Discrete(&a[rows]),
            ActionsRef::Continuous(a) => ActionRef::Continuous(&a[rows]),
        }
    }
}

/// A type an [`crate::Env`] may take as its action: `usize`, `[usize]`, `[f32]` or `[f32; N]`.
pub trait EnvAction {
    /// The typed view of an erased action.
    ///
    /// # Errors
    ///
    /// [`EnvError::ActionKind`] when the erased action is of the other kind or of another length.
    fn from_ref<'a>(action: ActionRef<'a>) -> Result<&'a Self, EnvError>;

    /// Why no action of this space can be one of this type, where that is so: what would fit.
    fn misfit(space: &Space) -> Option<String> {
        let _ = space;
        None
    }
}

/// Why actions of a space are not of the type that an environment says it takes, with the type that fits.
fn misfit(space: &Space, ours: &str) -> Option<String> {
    let (kind, fitting) = match space {
        Space::Discrete(_) => ("`Discrete`", "`usize`"),
        Space::MultiDiscrete(_) => ("`MultiDiscrete`", "`[usize]`"),
        Space::MultiBinary(_) => ("`MultiBinary`", "`[usize]`"),
        Space::Box(_) => ("a `Box`", "`[f32]`"),
        Space::Dict(_) | Space::Tuple(_) => return None,
    };
    Some(format!(
        "`action_space()` is {kind} of {} elements, and `type Action` is `{ours}`: use {fitting}",
        space.action_len()
    ))
}

impl EnvAction for usize {
    #[inline]
    fn from_ref<'a>(action: ActionRef<'a>) -> Result<&'a Self, EnvError> {
        match action {
            ActionRef::Discrete([a]) => Ok(a),
            other => Err(EnvError::action_kind("one index", other)),
        }
    }

    fn misfit(space: &Space) -> Option<String> {
        let fits = !matches!(space, Space::Box(_)) && space.action_len() == 1;
        if fits { None } else { misfit(space, "usize") }
    }
}

impl EnvAction for [usize] {
    #[inline]
    fn from_ref<'a>(action: ActionRef<'a>) -> Result<&'a Self, EnvError> {
        match action {
            ActionRef::Discrete(a) => Ok(a),
            other => Err(EnvError::action_kind("indices", other)),
        }
    }

    fn misfit(space: &Space) -> Option<String> {
        if matches!(space, Space::Box(_)) { misfit(space, "[usize]") } else { None }
    }
}

impl EnvAction for [f32] {
    #[inline]
    fn from_ref<'a>(action: ActionRef<'a>) -> Result<&'a Self, EnvError> {
        match action {
            ActionRef::Continuous(a) => Ok(a),
            other => Err(EnvError::action_kind("reals", other)),
        }
    }

    fn misfit(space: &Space) -> Option<String> {
        if matches!(space, Space::Box(_)) { None } else { misfit(space, "[f32]") }
    }
}

impl<const N: usize> EnvAction for [f32; N] {
    #[inline]
    fn from_ref<'a>(action: ActionRef<'a>) -> Result<&'a Self, EnvError> {
        match action {
            ActionRef::Continuous(a) => a.try_into().map_err(|_| EnvError::WrongLength {
                what: "the action",
                got: a.len(),
                expected: N,
            }),
            other => Err(EnvError::action_kind("reals", other)),
        }
    }

    fn misfit(space: &Space) -> Option<String> {
        let fits = matches!(space, Space::Box(_)) && space.action_len() == N;
        if fits { None } else { misfit(space, &format!("[f32; {N}]")) }
    }
}
