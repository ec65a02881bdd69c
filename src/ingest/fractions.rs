//! Prices in fractions of a point, as bonds and grains are quoted: `110'160` is 110 and 16/32.

use super::ReadError;
use super::sheet::Source;

/// Refuses a table all of whose prices are such.
///
/// # Errors
/// `ambiguous_number`: a sign that parts fractions here groups thousands in Switzerland.
pub(super) fn refuse(source: &Source) -> Result<(), ReadError> {
    let columns = || source.layout.groups.iter().flat_map(|group| [group.open, group.high, group.low, group.close]);
    let prices = || columns().flat_map(|column| source.sheet.cells(column)).filter(|(_, text)| !text.trim().is_empty());
    let Some((line, first)) = prices().next().filter(|_| prices().all(|(_, text)| fraction(text).is_some())) else {
        return Ok(());
    };
    let (whole, part, of) = fraction(first).unwrap_or_default();
    Err(ReadError::unusable(
        "ambiguous_number",
        format!(
            "all prices are written as {first:?}, which is {whole} and {part}/{of} of a point for bonds and grains: write them \
             as decimals; where the sign groups thousands pass decimal=."
        ),
    )
    .on_line(line))
}

/// `110'165` is 110 and 16.5/32, `110-16` is 110 and 16/32, `450'2` is 450 and 2/8. The third digit of thirty-seconds is
/// that of a half or a quarter, cut off.
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
            let rest =
                [(0, 0.0), (2, 0.25), (5, 0.5), (7, 0.75)].into_iter().find(|(digit, _)| *digit == value % 10)?;
            Some((whole, f64::from(value / 10) + rest.1, 32))
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
        for text in ["1'320", "1'234", "110'161", "450'8", "110.5", "-5", "1'000'000", "110'"] {
            assert_eq!(fraction(text), None, "{text}");
        }
    }
}
