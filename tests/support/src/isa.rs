//! The instruction set that a test binary runs under.

use rl_kernels::Isa;

/// The environment variable that names the instruction set.
pub const RL_ISA: &str = "RL_ISA";

/// The instruction set that kernels use in this process.
#[must_use]
pub fn active() -> Isa {
    Isa::active()
}

/// What the environment asks for, if it asks for anything.
#[must_use]
pub fn requested() -> Option<String> {
    std::env::var_os(RL_ISA).map(|name| name.to_string_lossy().into_owned()).filter(|name| !name.is_empty())
}

/// The loader calls what this section lists before `main`, so that no test starts under another instruction set.
#[used]
#[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = ".init_array"))]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
static AT_START: extern "C" fn() = at_start;

#[allow(clippy::print_stderr, reason = "before main there is nobody else to tell")]
extern "C" fn at_start() {
    let Some(name) = requested() else { return };
    if let Err(error) = name.parse::<Isa>().and_then(Isa::select) {
        eprintln!("{RL_ISA}={name}: {error}");
        std::process::abort();
    }
}
