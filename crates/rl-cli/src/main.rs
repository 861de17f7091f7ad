//! The `rl` command with the built-in environments and algorithms.

fn main() -> std::process::ExitCode {
    rl_cli::App::new().main()
}
