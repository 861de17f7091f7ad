//! `RL_ISA` decides the instruction set of a test binary that links `rl-test-support`.

use std::process::{Command, Output};

use rl_kernels::Isa;
use rl_test_support::{RL_ISA, active, requested};

#[test]
fn the_requested_instruction_set_is_active() {
    match requested() {
        Some(name) => assert_eq!(active().to_string(), name),
        None => assert_eq!(Some(active()), Isa::available().last().copied()),
    }
}

/// This test binary itself, running the test above.
fn started_with(isa: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "instruction_set::the_requested_instruction_set_is_active"]).env(RL_ISA, isa);
    command.output().unwrap()
}

#[test]
fn every_level_can_be_asked_for() {
    for isa in Isa::ALL {
        let output = started_with(&isa.to_string());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.success(), isa.is_available(), "{isa}: {out}{err}");
        if isa.is_available() {
            assert!(out.contains("1 passed"), "{isa}: {out}");
        } else {
            assert!(err.starts_with(&format!("{RL_ISA}={isa}: this processor does not have")), "{err}");
        }
    }
}

#[test]
fn an_unknown_one_ends_the_test_binary() {
    let output = started_with("sse9");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(err.starts_with("RL_ISA=sse9: no instruction set is called \"sse9\""), "{err}");
    // An empty one asks for nothing.
    assert!(started_with("").status.success());
}
