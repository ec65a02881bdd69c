//! Settings: one struct a concern, read once, validated.
