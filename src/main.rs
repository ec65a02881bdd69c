//! The `candlecast` command.

fn main() {}
