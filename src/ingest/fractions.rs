//! Prices in fractions of a point, as bonds and grains are quoted: `110'160` is 110 and 16/32.

use std::collections::HashMap;

use super::ReadError;
use super::numbers::{NumberFormat, NumberIssue};
use super::sheet::Source;

/// Refuses a table that has a ticker nearly all of whose prices are such.
///
/// # Errors
/// `ambiguous_number`: a sign that parts fractions here groups thousands in Switzerland.
pub(super) fn refuse(source: &Source) -> Result<(), ReadError> {
    let (sheet, layout) = (&source.sheet, &source.layout);
    let may_part = |text: &str| text.bytes().any(|byte| matches!(byte, b'\'' | b'-' | b'^' | 0xe2));
    let columns = || layout.groups.iter().flat_map(|group| [group.open, group.high, group.low, group.close]);
    if !columns().flat_map(|column| sheet.cells(column)).any(|(_, text)| may_part(text)) {
        return Ok(());
    }
    let mut tallies: HashMap<(usize, &str), Tally<'_>> = HashMap::new();
    for (at, group) in layout.groups.iter().enumerate() {
        for column in [group.open, group.high, group.low, group.close] {
            for (row, (line, text)) in sheet.cells(column).enumerate() {
                let ticker = layout.ticker.map_or("", |ticker| sheet.cell(ticker, row));
                tallies.entry((at, ticker)).or_default().count(line, text);
            }
        }
    }
    let told =
        tallies.values().filter(|tally| tally.is_of_fractions(tallies.len() == 1)).filter_map(|tally| tally.first);
    let Some((line, first)) = told.min() else { return Ok(()) };
    let (whole, part, of) = fraction(first).unwrap_or_default();
    Err(ReadError::unusable(
        "ambiguous_number",
        format!(
            "prices are written as {first:?}, which is {whole} and {part}/{of} of a point for bonds and grains: write them \
             as decimals; where the sign groups thousands pass decimal=."
        ),
    )
    .on_line(line))
}

/// How a ticker's prices are written.
#[derive(Debug, Default)]
struct Tally<'a> {
    n_prices: usize,
    n_fractions: usize,
    /// The first of them and its line.
    first: Option<(u64, &'a str)>,
}

impl<'a> Tally<'a> {
    fn count(&mut self, line: u64, text: &'a str) {
        if fraction(text).is_some() {
            self.n_prices += 1;
            self.n_fractions += 1;
            self.first.get_or_insert((line, text));
        } else if !matches!(NumberFormat::DOT.price(text), Err(NumberIssue::Missing) | Ok(0.0)) {
            self.n_prices += 1;
        }
    }

    /// One price in ten may be a slip or in whole points; a bar or two may be grouped thousands that look so.
    fn is_of_fractions(&self, is_alone: bool) -> bool {
        self.n_fractions >= if is_alone { 1 } else { 8 } && self.n_fractions * 10 >= self.n_prices * 9
    }
}

/// `110'165` is 110 and 16.5/32, `110-16` is 110 and 16/32, `450'2` is 450 and 2/8. The third digit of thirty-seconds is
/// that of a number of eighths of one, cut off.
fn fraction(text: &str) -> Option<(&str, f64, u32)> {
    let (whole, part) = text.trim().split_once(['\'', '\u{2019}', '-', '^'])?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (digits, half) = part.strip_suffix('+').map_or((part, 0.0), |digits| (digits, 0.5));
    if !is_digits(whole) || !is_digits(digits) {
        return None;
    }
    let value: u32 = digits.parse().ok()?;
    match digits.len() {
        1 if value < 8 => Some((whole, value.into(), 8)),
        2 if value < 32 => Some((whole, f64::from(value) + half, 32)),
        3 if value < 320 => {
            const EIGHTHS: [u32; 8] = [0, 1, 2, 3, 5, 6, 7, 8];
            let n_eighths = EIGHTHS.iter().position(|digit| *digit == value % 10)?;
            Some((whole, f64::from(value / 10) + n_eighths as f64 / 8.0, 32))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_a_point_are_known_by_their_digits() {
        assert_eq!(fraction("110'160"), Some(("110", 16.0, 32)));
        assert_eq!(fraction(" 110\u{2019}317 "), Some(("110", 31.75, 32)));
        assert_eq!(fraction("110-16+"), Some(("110", 16.5, 32)));
        assert_eq!(fraction("450'2"), Some(("450", 2.0, 8)));
        assert_eq!(fraction("110'161"), Some(("110", 16.125, 32)));
        assert_eq!(fraction("110'168"), Some(("110", 16.875, 32)));
        for text in ["1'320", "1'234", "110'164", "450'8", "110.5", "-5", "1'000'000", "110'"] {
            assert_eq!(fraction(text), None, "{text}");
        }
    }
}
