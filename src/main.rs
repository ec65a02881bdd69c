//! The `candlecast` command: reads the command line, calls one function.

use std::process::ExitCode;

fn main() -> ExitCode {
    candlecast::cli::run(candlecast::cli::parse())
}
