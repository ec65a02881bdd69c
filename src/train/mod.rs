//! Windows to a fitted network.
