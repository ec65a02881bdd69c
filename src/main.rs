//! The `candlecast` command: reads the command line, calls one function.

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = candlecast::cli::parse();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(candlecast::cli::run(cli)),
        Err(error) => candlecast::cli::report(&error.into()),
    }
}
