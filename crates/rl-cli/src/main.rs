//! The `rl` command with the built-in environments and algorithms.

fn main() -> std::process::ExitCode {
    rl_cli::main_with(rl_env::Registry::builtin(), rl_cli::builtin_algorithms())
}
