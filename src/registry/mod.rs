//! Model versions, artifacts, champion and challenger.

pub mod policy;

pub use policy::Policy;
