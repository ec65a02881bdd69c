//! Sequences to sequences: the recurrent networks.
