//! What a running process owns, built once.
