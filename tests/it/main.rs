//! One integration binary: one link, one set of helpers.

mod architecture;
