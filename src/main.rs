//! The `candlecast` command: reads the command line, calls one function.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Where it cannot, operations on large tensors take more processors, and nothing else changes.
    let _ = candlecast_kernels::keep_candle_on_its_thread();
    candlecast::cli::run(candlecast::cli::parse())
}
