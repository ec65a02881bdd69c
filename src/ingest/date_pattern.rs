//! Orders of dates as patterns such as `%d/%m/%Y`: read from a caller, and told to one.

use super::ReadError;
use super::date_triple::Triple;
use super::dates::{self, Order, Shape};

/// The order that a pattern of the caller names.
///
/// # Errors
/// A pattern that shows no order.
pub(super) fn order_of(format: &str) -> Result<Order, ReadError> {
    let lower = format.trim().to_ascii_lowercase();
    match lower.as_str() {
        "roc" => return Ok(Order::Roc),
        "buddhist" => return Ok(Order::Buddhist),
        "excel" => return Ok(Order::Excel),
        "dmy" => return Ok(Order::Dmy),
        "mdy" => return Ok(Order::Mdy),
        "ymd" | "iso" | "epoch" | "epoch_s" | "epoch_ms" | "epoch_us" | "epoch_ns" => return Ok(Order::Ymd),
        _ => {}
    }
    // `%d/%m/%Y` and `DD/MM/YYYY` alike, by the order of their first letters.
    if format.contains("%F") || lower.starts_with("%s") {
        return Ok(Order::Ymd);
    }
    if format.contains("%D") {
        return Ok(Order::Mdy);
    }
    let percent = |letters: &[&str]| letters.iter().filter_map(|letter| format.find(letter)).min();
    let places = match format.contains('%') {
        true => (percent(&["%Y", "%y"]), percent(&["%m", "%b", "%B", "%-m"]), percent(&["%d", "%e", "%-d"])),
        false => (lower.find('y'), lower.find('m'), lower.find('d')),
    };
    match places {
        (Some(y), Some(m), Some(d)) if y < m && m < d => Ok(Order::Ymd),
        (Some(y), Some(m), Some(d)) if d < m && m < y => Ok(Order::Dmy),
        (Some(y), Some(m), Some(d)) if m < d && d < y => Ok(Order::Mdy),
        (Some(_), Some(_), None) => Ok(Order::Month),
        _ => Err(ReadError::BadOption {
            option: "date_format",
            message: format!(
                "{format:?} is no order of %Y, %m and %d; use %Y-%m-%d, %d/%m/%Y, %m/%d/%Y, %Y-%m, roc, buddhist, excel or epoch"
            ),
        }),
    }
}

/// A cell as a pattern: `28.03.2024` read day first is `%d.%m.%Y`.
pub(super) fn pattern(text: &str, order: Order) -> String {
    let text = text.trim();
    match dates::shape(text) {
        Some(Shape::Epoch(_)) => "epoch".to_owned(),
        Some(Shape::Serial(_)) => "excel".to_owned(),
        Some(Shape::Compact(stamp)) => if stamp.second.is_some() { "%Y%m%d%H%M%S" } else { "%Y%m%d" }.to_owned(),
        _ if order == Order::Month => "%Y-%m".to_owned(),
        _ if order == Order::Roc => "roc".to_owned(),
        _ if order == Order::Buddhist => "buddhist".to_owned(),
        Some(Shape::Triple(triple, _)) => {
            let letters = letters(&triple, order);
            match text.bytes().all(|byte| byte.is_ascii_digit()) {
                true => letters.concat(),
                false => rewritten(text, &letters),
            }
        }
        None => "%Y-%m-%d".to_owned(),
    }
}

fn letters(triple: &Triple, order: Order) -> [&'static str; 3] {
    let (year, month, day) = triple.places(order).unwrap_or((0, 1, 2));
    let mut letters = [""; 3];
    letters[year] = if triple.digits[year] == 4 { "%Y" } else { "%y" };
    letters[month] = if triple.named_month().is_some() { "%b" } else { "%m" };
    letters[day] = "%d";
    letters
}

fn rewritten(text: &str, letters: &[&'static str; 3]) -> String {
    const CLOCK: [&str; 4] = ["%H", "%M", "%S", "%f"];
    let mut out = String::new();
    let (mut n_parts, mut is_in_part) = (0, false);
    for c in text.chars() {
        let is_part =
            c.is_ascii_digit() || (n_parts < 3 + usize::from(is_in_part) && c.is_ascii_alphabetic() && c != 'T');
        if is_part && !is_in_part {
            // A zone's digits follow its sign.
            if n_parts >= 5 && out.ends_with(['+', '-']) {
                out.pop();
                out.push_str("%z");
                return out;
            }
            out.push_str(letters.get(n_parts).copied().or_else(|| CLOCK.get(n_parts - 3).copied()).unwrap_or_default());
            n_parts += 1;
        } else if !is_part {
            out.push(c);
        }
        is_in_part = is_part;
    }
    out
}
