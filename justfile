# `just` lists these; each line is also a command that can be typed without just.

[private]
default:
    @just --list --unsorted

# From nothing to a forecast: a synthetic market, or your own CSV files.
demo *FILES:
    cargo run --release -- demo {{FILES}}

# The service on http://127.0.0.1:8080, with its jobs.
serve *FLAGS:
    cargo run --release -- serve {{FLAGS}}

# What CI runs: formatting, lints, every test.
check:
    scripts/test

# Formatting and lints only: seconds.
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Tests by name, as in `just test ingest::`.
test *NAMES:
    cargo test {{NAMES}}

# Accept what the snapshot tests now say, after reading the difference.
snapshots:
    INSTA_UPDATE=always CANDLECAST_TEST_UPDATE=1 cargo test

# The documentation of the code, in a browser.
doc:
    cargo doc --no-deps --open

# Every benchmark, one after the other; each prints its ratio.
bench:
    scripts/bench-ingest
    scripts/bench-dialects
    scripts/bench-serving
    scripts/bench-panel
    scripts/bench-build

# Postgres, one API, two workers.
up:
    docker compose up --build
