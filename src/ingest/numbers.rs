//! Prices and volumes as people and spreadsheets write them.

use super::units;

/// Which sign parts the decimals, and which the thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumberFormat {
    /// `.` or `,`.
    pub decimal: u8,
}

/// Why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberIssue {
    Missing,
    NotFinite,
    NotANumber,
}

impl NumberIssue {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing_value",
            Self::NotFinite => "not_finite",
            Self::NotANumber => "not_a_number",
        }
    }
}

/// What vendors write where there is no value; compared in lower case.
const MISSING: &[&str] =
    &["", "-", "--", "---", "n/a", "na", "null", "none", "nil", "n.a.", ".", "—", "–", "*", "nd", "n.d.", "<na>"];
/// A price of more characters than this is no price.
const MAX_CHARS: usize = 64;

/// What one cell says of the decimal sign of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing: no sign at all, or no number.
    None,
    /// `.` parts decimals.
    Dot,
    /// `,` parts decimals.
    Comma,
    /// One comma before three digits: `1,234`.
    EitherByComma,
    /// One dot before three digits: `1.234`.
    EitherByDot,
}

/// Reads the evidence of a cell. Two signs: the last parts decimals. One sign that repeats: thousands.
/// One sign once: decimals, unless exactly three digits follow one to three that do not begin with 0.
pub(super) fn evidence(text: &str) -> Evidence {
    let bytes = text.as_bytes();
    let (mut dots, mut commas, mut last) = (0, 0, None);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'.' => dots += 1,
            b',' => commas += 1,
            _ => continue,
        }
        last = Some(at);
    }
    let Some(last) = last else { return Evidence::None };
    let after = bytes[last + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let before = bytes[..last].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    if before == 0 && after == 0 {
        return Evidence::None;
    }
    let begins_with_zero = before > 0 && bytes[last - before] == b'0';
    let could_group = after == 3 && (1..=3).contains(&before) && !begins_with_zero;
    match (dots, commas) {
        (1.., 1..) if bytes[last] == b'.' => Evidence::Dot,
        (1.., 1..) => Evidence::Comma,
        (1, 0) if could_group => Evidence::EitherByDot,
        (0, 1) if could_group => Evidence::EitherByComma,
        (1, 0) | (0, 2..) => Evidence::Dot,
        (0, 1) | (2.., 0) => Evidence::Comma,
        _ => Evidence::None,
    }
}

impl NumberFormat {
    pub(super) const DOT: Self = Self { decimal: b'.' };
    pub(super) const COMMA: Self = Self { decimal: b',' };

    /// A price: the fast path takes digits with at most one sign of any kind.
    pub(super) fn price(self, text: &str) -> Result<f64, NumberIssue> {
        self.number(text, false)
    }

    /// A volume: also `31.84M`, `1.2B`, `3만`.
    pub(super) fn volume(self, text: &str) -> Result<f64, NumberIssue> {
        self.number(text, true)
    }

    fn number(self, text: &str, may_scale: bool) -> Result<f64, NumberIssue> {
        if self.decimal == b'.'
            && let Some(value) = digits(text)
        {
            return Ok(value);
        }
        match self.common(text, may_scale) {
            Some(value) => Ok(value),
            None => self.written(text, may_scale),
        }
    }

    /// What most files have, without taking it apart: `1,234.50`, `$12.50`, `120.5M`. `None` where [`written`](Self::written)
    /// must say.
    fn common(self, text: &str, may_scale: bool) -> Option<f64> {
        let bytes = text.as_bytes();
        let bytes = bytes.strip_prefix(b"$").unwrap_or(bytes);
        let (bytes, scale) = match bytes.split_last()? {
            (b'K' | b'k', rest) if may_scale => (rest, 1e3),
            (b'M' | b'm', rest) if may_scale => (rest, 1e6),
            (b'B' | b'b', rest) if may_scale => (rest, 1e9),
            _ => (bytes, 1.0),
        };
        let grouping = if self.decimal == b'.' { b',' } else { b'.' };
        let mut plain = [0; 24];
        let (mut length, mut in_group, mut is_grouped, mut is_whole) = (0, 0, false, true);
        let closes_group = |in_group: usize, is_grouped: bool| if is_grouped { in_group == 3 } else { in_group > 0 };
        for byte in bytes {
            match *byte {
                b'0'..=b'9' => {
                    *plain.get_mut(length)? = *byte;
                    length += 1;
                    in_group += 1;
                }
                sign if sign == self.decimal && is_whole && closes_group(in_group, is_grouped) => {
                    *plain.get_mut(length)? = b'.';
                    length += 1;
                    is_whole = false;
                }
                sign if sign == grouping && is_whole && in_group <= 3 && closes_group(in_group, is_grouped) => {
                    is_grouped = true;
                    in_group = 0;
                }
                _ => return None,
            }
        }
        if is_whole && !closes_group(in_group, is_grouped) {
            return None;
        }
        let value: f64 = std::str::from_utf8(&plain[..length]).ok()?.parse().ok()?;
        Some(value * scale)
    }

    fn written(self, text: &str, may_scale: bool) -> Result<f64, NumberIssue> {
        let text = text.trim();
        if text.len() > 4 * MAX_CHARS {
            return Err(NumberIssue::NotANumber);
        }
        let lower = text.to_ascii_lowercase();
        if MISSING.contains(&lower.as_str()) || is_spreadsheet_error(&lower) {
            return Err(NumberIssue::Missing);
        }
        if matches!(lower.trim_start_matches(['+', '-']), "nan" | "inf" | "infinity" | "1.#inf" | "1.#qnan" | "∞") {
            return Err(NumberIssue::NotFinite);
        }
        let narrow: String = text.chars().filter_map(narrowed).collect();
        let (inner, is_negative) = match narrow.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
            Some(inner) => (inner, true),
            None => (narrow.as_str(), false),
        };
        let inner = without_currency(inner);
        let (digits, scale) = if may_scale { units::of_number(inner) } else { (inner, 1.0) };
        let plain = self.plain(digits).ok_or(NumberIssue::NotANumber)?;
        let value: f64 = plain.parse().map_err(|_| NumberIssue::NotANumber)?;
        let value = if is_negative { -value * scale } else { value * scale };
        value.is_finite().then_some(value).ok_or(NumberIssue::NotFinite)
    }

    /// The number with `.` for decimals and no thousands signs; `None` where groups are not of three
    /// (or, as in India, of two before the last three), or a character has no place in a number.
    fn plain(self, text: &str) -> Option<String> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let (whole, fraction) = match mantissa.split_once(char::from(self.decimal)) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let (sign, whole) = match whole.strip_prefix(['+', '-']) {
            Some(rest) if whole.starts_with('-') => ("-", rest),
            Some(rest) => ("", rest),
            None => ("", whole),
        };
        let grouping = if self.decimal == b'.' { ',' } else { '.' };
        let parts: Vec<&str> = whole.split([grouping, '\'', ' ']).collect();
        let is_grouped = parts.len() == 1
            || (parts[1..].iter().rev().enumerate().all(|(idx, part)| part.len() == 3 || (idx > 0 && part.len() == 2))
                && (1..=3).contains(&parts[0].len()));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = is_grouped
            && parts.iter().all(|part| digits(part))
            && fraction.is_none_or(digits)
            && whole.len() + fraction.map_or(0, str::len) > 0;
        let exponent_fits = exponent.is_none_or(|e| {
            let e = e.strip_prefix(['+', '-']).unwrap_or(e);
            (1..=3).contains(&e.len()) && digits(e)
        });
        if !is_number || !exponent_fits {
            return None;
        }
        let mut plain = format!("{sign}{}.{}", parts.concat(), fraction.unwrap_or("0"));
        if let Some(exponent) = exponent {
            plain.push('e');
            plain.push_str(exponent);
        }
        Some(plain)
    }
}

/// Digits with at most one dot. Up to fifteen are a whole number and a power of ten that a float holds exactly, so that
/// their quotient is the nearest there is (Clinger, "How to read floating point numbers accurately", 1990).
fn digits(text: &str) -> Option<f64> {
    const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (mut whole, mut n_digits, mut n_decimals, mut has_dot) = (0_u64, 0, 0, false);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => {
                whole = whole.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                n_digits += 1;
                n_decimals += usize::from(has_dot);
            }
            b'.' if !has_dot => has_dot = true,
            _ => return None,
        }
    }
    match n_digits {
        1..=15 => Some(whole as f64 / TENS[n_decimals]),
        16..20 => text.parse().ok(),
        _ => None,
    }
}

fn is_spreadsheet_error(lower: &str) -> bool {
    lower.starts_with('#')
        && ["#n/a", "#value!", "#div/0!", "#ref!", "#name?", "#null!", "#num!", "#n/a n/a", "#error!", "#getting_data"]
            .contains(&lower)
}

/// Full-width forms become ASCII, all spaces one kind; marks that only guard a cell's type are dropped.
fn narrowed(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0),
        '\u{a0}' | '\u{202f}' | '\u{2009}' | '\u{3000}' => Some(' '),
        '\u{2019}' => Some('\''),
        '\u{2212}' => Some('-'),
        '\u{feff}' => None,
        other => Some(other),
    }
}

fn without_currency(text: &str) -> &str {
    const SIGNS: [char; 10] = ['$', '€', '£', '¥', '₩', '₹', '₽', '₺', '¢', '￦'];
    const NAMES: [&str; 16] =
        ["R$", "HK$", "NT$", "US$", "USD", "EUR", "KRW", "JPY", "GBP", "INR", "CNY", "원", "円", "元", "kr", "zł"];
    let mut text = text.trim();
    for name in NAMES {
        text = text.strip_prefix(name).or_else(|| text.strip_suffix(name)).unwrap_or(text).trim();
    }
    // A sign stands before or behind the currency: `-$5`, `$-5`.
    text.strip_prefix(SIGNS).or_else(|| text.strip_suffix(SIGNS)).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dot(text: &str) -> Result<f64, &'static str> {
        NumberFormat::DOT.price(text).map_err(NumberIssue::code)
    }

    #[test]
    fn prices_are_read_as_people_write_them() {
        for (text, value) in [
            ("100", 100.0),
            ("+97.58", 97.58),
            ("1.01e2", 101.0),
            ("97.580000000000000000001", 97.58),
            (" $318.89 ", 318.89),
            ("₩72,300", 72_300.0),
            ("72,300원", 72_300.0),
            ("2,655.28", 2655.28),
            ("12,34,567.5", 1_234_567.5),
            ("1 234.5", 1234.5),
            ("1'234.5", 1234.5),
            ("７２３００", 72_300.0),
            ("(5.5)", -5.5),
            (".9", 0.9),
            ("5.", 5.0),
        ] {
            assert_eq!(dot(text), Ok(value), "{text:?}");
        }
        assert_eq!(NumberFormat::COMMA.price("1.234,56"), Ok(1234.56));
        assert_eq!(NumberFormat::COMMA.price("37,36 €"), Ok(37.36));
    }

    #[test]
    fn what_is_no_price_has_its_reason() {
        for text in ["", "-", "N/A", "None", "null", "#DIV/0!", "#VALUE!", " "] {
            assert_eq!(dot(text), Err("missing_value"), "{text:?}");
        }
        for text in ["NaN", "-Infinity", "inf", "1e999"] {
            assert_eq!(dot(text), Err("not_finite"), "{text:?}");
        }
        for text in ["0x64", "100%", "1_00.5", "١٠٠", "1,2345", "10\"0.5", "abc", "1.2.3", "e5", "1e", "12,34", "5M"]
        {
            assert_eq!(dot(text), Err("not_a_number"), "{text:?}");
        }
    }

    #[test]
    fn volumes_have_units() {
        for (text, value) in [
            ("31.84M", 31_840_000.0),
            ("1.2B", 1.2e9),
            ("460.09K", 460_090.0),
            ("7.2Cr", 72e6),
            ("1.5 Mrd.", 1.5e9),
            ("3만", 30_000.0),
            ("5", 5.0),
        ] {
            let read = NumberFormat::DOT.volume(text).expect(text);
            assert!((read - value).abs() < 1e-3, "{text:?}: {read}");
        }
        assert_eq!(NumberFormat::COMMA.volume("31,5M"), Ok(31_500_000.0));
    }

    proptest! {
        #[test]
        fn digits_are_read_to_the_last_bit(text in "[0-9]{0,10}[.]?[0-9]{0,10}") {
            let n_digits = text.bytes().filter(u8::is_ascii_digit).count();
            let parsed = text.parse::<f64>().ok().filter(|_| n_digits < 20);
            prop_assert_eq!(digits(&text).map(f64::to_bits), parsed.map(f64::to_bits), "{}", text);
        }

        #[test]
        fn the_short_way_says_what_the_long_way_says(text in "[$]?[0-9]{0,4}([.,][0-9]{0,4}){0,4}[KMBx]?", may_scale: bool) {
            for format in [NumberFormat::DOT, NumberFormat::COMMA] {
                if let Some(value) = format.common(&text, may_scale) {
                    prop_assert_eq!(Ok(value), format.written(&text, may_scale), "{}", text);
                }
            }
        }
    }

    #[test]
    fn the_short_way_takes_what_most_files_have() {
        for (format, text, value) in [
            (NumberFormat::DOT, "1,234.50", 1234.5),
            (NumberFormat::DOT, "$12.50", 12.5),
            (NumberFormat::DOT, "120.5M", 120.5e6),
            (NumberFormat::COMMA, "1.234,5", 1234.5),
        ] {
            assert_eq!(format.common(text, true), Some(value), "{text}");
        }
        for text in ["12,34.5", "1,2345", "", ",123", "1,234,", "1.2.3", "₩5", "1e5", " 5"] {
            assert_eq!(NumberFormat::DOT.common(text, true), None, "{text}");
        }
    }

    #[test]
    fn a_cell_tells_what_it_can_of_the_decimal_sign() {
        for (text, expected) in [
            ("12", Evidence::None),
            ("1,234", Evidence::EitherByComma),
            ("1.234", Evidence::EitherByDot),
            ("1,234,567", Evidence::Dot),
            ("1.234.567", Evidence::Comma),
            ("1.234,5", Evidence::Comma),
            ("1,234.5", Evidence::Dot),
            ("37,36", Evidence::Comma),
            ("37.36", Evidence::Dot),
            ("0,125", Evidence::Comma),
            ("1234.567", Evidence::Dot),
            ("31,84M", Evidence::Comma),
        ] {
            assert_eq!(evidence(text), expected, "{text}");
        }
    }
}
