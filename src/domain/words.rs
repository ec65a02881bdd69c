//! Counts in words.

use std::fmt::Display;

/// "1 bar", "2 bars".
pub fn counted<T: Display + PartialEq + From<u8>>(count: T, one: &str) -> String {
    match count == T::from(1) {
        true => format!("{count} {one}"),
        false => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0_u64, 1, 2].map(|count| counted(count, "bar")), ["0 bars", "1 bar", "2 bars"]);
    }
}
