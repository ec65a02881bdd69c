//! Model versions, artifacts, champion and challenger.
