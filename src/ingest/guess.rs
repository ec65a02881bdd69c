//! A file without a header: refused, with a guess at its columns that can be sent back.

use super::columns::{self, Role};
use super::dates::{Order, Shape, Stamp};
use super::header::modal_width;
use super::names::OTHER_SPANS;
use super::numbers::{self, Evidence, NumberFormat};
use super::records::{self, Record};
use super::{ReadError, bars, dates};

const SAMPLE: usize = 200;

/// Refuses a file none of whose lines is a header, and says what its columns could be.
pub(super) fn no_header(text: &str, all: &[Record], delimiter: u8) -> ReadError {
    let width = modal_width(all);
    let rows: Vec<Vec<String>> = all
        .iter()
        .filter(|record| usize::from(record.fields) == width)
        .take(SAMPLE)
        .map(|record| records::fields(record.text(text), delimiter))
        .filter(|row| row.len() == width)
        .collect();
    let first = all.first().map(|record| record.text(text)).unwrap_or_default();
    let first: String = first.chars().take(120).collect();
    let has_dates = rows.last().and_then(|row| row.first()).is_some_and(|cell| dates::looks_like_date(cell));
    if width == 2 && has_dates {
        let message = format!(
            "the file has one value a date (its first line is {first:?}): a bar needs open, high, low and close"
        );
        return ReadError::missing("open", message);
    }
    let sign = [b'^', b'~', b':'].into_iter().find(|sign| first.bytes().filter(|byte| byte == sign).count() >= 4);
    if let Some(sign) = sign.map(char::from).filter(|_| width < 2) {
        let message =
            format!("the fields seem to be parted by {sign:?} (the first line is {first:?}): pass delimiter={sign}");
        return ReadError::unusable("missing_header", message);
    }
    if width < 2 {
        let message = format!(
            "the body is no table: its first line is {first:?}; if that is an answer of its source, download the prices again"
        );
        return ReadError::unusable("missing_header", message);
    }
    let header = all.first().map(|record| records::fields(record.text(text), delimiter));
    let is_header =
        |cells: &Vec<String>| cells.len() == width && width >= 4 && !cells.iter().any(|cell| is_value(cell));
    let header = header.filter(is_header).unwrap_or_default();
    let rows = &rows[usize::from(!header.is_empty()).min(rows.len())..];
    let message = match columns(rows, width, &header) {
        Some(guess) => format!(
            "no line of the file names its columns (the first is {first:?}); by its values it could be \
             columns={guess}: pass that if it is right"
        ),
        None if !header.is_empty() => format!(
            "the first line ({first:?}) does not name date, open, high, low and close of a session: rename its columns, or \
             pass columns=date:NAME,open:NAME,high:NAME,low:NAME,close:NAME"
        ),
        None => format!(
            "no line of the file names date, open, high, low and close (the first is {first:?}); add such a line, \
             or pass columns=date,open,high,low,close,volume in the file's order"
        ),
    };
    ReadError::unusable("missing_header", message)
}

fn is_value(cell: &str) -> bool {
    NumberFormat::DOT.price(cell).is_ok() || dates::looks_like_date(cell)
}

/// Whether a name says that its column is none of a bar: the price before, the year's highest.
fn is_of_another_span(name: &str) -> bool {
    let mut words = name.split_whitespace().map(str::to_lowercase);
    columns::is_of_no_role(name) || words.any(|word| OTHER_SPANS.split(' ').any(|span| span == word))
}

/// Four neighbours of which one is always the highest and one the lowest are the prices.
fn columns(rows: &[Vec<String>], width: usize, header: &[String]) -> Option<String> {
    let sample = rows.get(rows.len() / 2)?;
    let date = (0..width)
        .find(|idx| dates::looks_like_date(&sample[*idx]))
        .or_else(|| (0..width).find(|idx| holds_short_dates(rows, *idx)))?;
    let time = Some(date + 1).filter(|idx| sample.get(*idx).is_some_and(|cell| cell.contains(':')));
    let mut behind_dates = rows.iter().flat_map(|row| &row[date + 1..]);
    let has_commas = behind_dates.any(|cell| numbers::evidence(cell) == Evidence::Comma);
    let numbers = if has_commas { NumberFormat::COMMA } else { NumberFormat::DOT };
    let value = |row: &Vec<String>, idx: usize| numbers.volume(row.get(idx)?).ok();
    let is_extreme = |from: usize, at: usize, above: bool| {
        let mut n_rows = 0;
        let holds = rows.iter().all(|row| {
            let values: Vec<f64> = (from..from + 4).filter_map(|idx| value(row, idx)).collect();
            if values.len() < 4 {
                return true;
            }
            n_rows += 1;
            let is_one_scale = values.iter().all(|other| (values[at] / 10.0..=values[at] * 10.0).contains(other));
            is_one_scale && values.iter().all(|other| if above { values[at] >= *other } else { values[at] <= *other })
        });
        holds && n_rows * 2 > rows.len()
    };
    let is_other = |idx: usize| header.get(idx).is_some_and(|name| is_of_another_span(name));
    for from in time.unwrap_or(date) + 1..(width + 1).saturating_sub(4) {
        if (from..from + 4).any(is_other) {
            continue;
        }
        // Flat bars fit any order: the usual one goes first.
        let high = [1, 0, 2, 3].into_iter().find(|at| is_extreme(from, *at, true));
        let low = [2, 3, 1, 0].into_iter().find(|at| is_extreme(from, *at, false));
        let (Some(high), Some(low)) = (high, low) else { continue };
        if high == low {
            continue;
        }
        let mut names = vec!["-"; width];
        names[date] = "date";
        if let Some(time) = time {
            names[time] = "time";
        }
        names[from + high] = "high";
        names[from + low] = "low";
        let mut rest = (from..from + 4).filter(|at| *at != from + high && *at != from + low);
        let (one, other) = (rest.next()?, rest.next()?);
        let is_swapped = closes_before_it_opens(rows, date, one, other, value);
        let (open, close) = if is_swapped { (other, one) } else { (one, other) };
        (names[open], names[close]) = ("open", "close");
        let largest =
            |idx: usize| value(sample, idx).is_some_and(|v| value(sample, from).is_some_and(|p| v > p || v == 0.0));
        let is_code = |idx: usize| sample[idx].len() > 1 && sample[idx].starts_with('0') && !sample[idx].contains('.');
        let before = (date + 1..from).find(|idx| names[*idx] == "-" && largest(*idx) && !is_code(*idx));
        // An average price lies within all bars.
        let is_price = |idx: usize| {
            let is_within = |row: &Vec<String>| {
                let (at, least, most) = (value(row, idx)?, value(row, from + low)?, value(row, from + high)?);
                Some((least..=most).contains(&at))
            };
            rows.iter().all(|row| is_within(row) == Some(true))
        };
        let mut numbers = (from + 4..width).filter(|idx| value(sample, *idx).is_some());
        let behind = numbers.clone().find(|idx| !is_price(*idx)).or_else(|| numbers.next());
        let named = header.iter().position(|name| columns::named(name).is_some_and(|named| named.role == Role::Volume));
        let units = before.zip(behind).and_then(|(one, other)| {
            let is_worth = |worth: usize, units: usize| {
                let price =
                    |row: &Vec<String>| Some(value(row, worth)? / value(row, units).filter(|units| *units > 0.0)?);
                let is_price = |row: &Vec<String>| {
                    Some((value(row, from + low)? * 0.98..=value(row, from + high)? * 1.02).contains(&price(row)?))
                };
                rows.iter().all(|row| is_price(row) != Some(false)) && rows.iter().any(|row| is_price(row).is_some())
            };
            [(one, other), (other, one)]
                .into_iter()
                .find(|(worth, units)| is_worth(*worth, *units))
                .map(|(_, units)| units)
        });
        if let Some(volume) = named.or(units).or(before).or(behind).filter(|idx| names[*idx] == "-") {
            names[volume] = "volume";
        }
        if let Some(ticker) = (0..width).find(|idx| names[*idx] == "-" && tells_tickers(rows, date, *idx)) {
            names[ticker] = "ticker";
        }
        return Some(names.join(","));
    }
    None
}

/// Whether a column of codes tells rows of one date apart.
fn tells_tickers(rows: &[Vec<String>], date: usize, column: usize) -> bool {
    let is_code = |row: &Vec<String>| {
        let cell = row[column].as_str();
        !cell.chars().any(char::is_lowercase)
            && cell.chars().any(char::is_alphabetic)
            && bars::ticker_of(cell).is_some()
    };
    let is_told = |pair: &[Vec<String>]| pair[0][date] != pair[1][date] || pair[0][column] != pair[1][column];
    rows.iter().all(is_code)
        && rows.windows(2).any(|pair| pair[0][date] == pair[1][date])
        && rows.windows(2).all(is_told)
}

/// Dates such as `240102`, which alone could be any number: all can be days, and they differ.
fn holds_short_dates(rows: &[Vec<String>], column: usize) -> bool {
    let is_day = |cell: &String| {
        [Order::Ymd, Order::Dmy, Order::Mdy]
            .iter()
            .any(|order| matches!(dates::shape(cell), Some(Shape::Triple(triple, _)) if triple.day(*order).is_some()))
    };
    rows.len() > 1 && rows.iter().all(|row| is_day(&row[column])) && rows[0][column] != rows[rows.len() - 1][column]
}

/// Whether of two columns the second is the open: bars begin where those before ended.
fn closes_before_it_opens(
    rows: &[Vec<String>],
    date: usize,
    first: usize,
    second: usize,
    value: impl Fn(&Vec<String>, usize) -> Option<f64>,
) -> bool {
    let is_descending = descends(rows, date);
    let distance = |open: usize, close: usize| -> f64 {
        let pairs = rows.windows(2).map(|pair| if is_descending { (&pair[1], &pair[0]) } else { (&pair[0], &pair[1]) });
        pairs.filter_map(|(before, bar)| Some((value(before, close)? - value(bar, open)?).abs())).sum()
    };
    distance(second, first) * 2.0 < distance(first, second)
}

/// Whether the newest row stands first, in the order of day and month in which the rows go one way.
fn descends(rows: &[Vec<String>], date: usize) -> bool {
    let goes_down = |order: Order| {
        let stamps: Option<Vec<(i32, Option<u32>)>> =
            rows.iter().map(|row| Stamp::of(&row[date], order).map(|stamp| (stamp.day, stamp.second))).collect();
        let stamps = stamps?;
        let n_down = stamps.windows(2).filter(|pair| pair[0] > pair[1]).count();
        let n_up = stamps.windows(2).filter(|pair| pair[0] < pair[1]).count();
        (n_up.min(n_down) == 0).then_some(n_down > 0)
    };
    [Order::Ymd, Order::Mdy, Order::Dmy].into_iter().find_map(goes_down).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(rows: &[&str]) -> Option<String> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.split(';').map(str::to_owned).collect::<Vec<String>>()).collect();
        columns(&rows, rows[0].len(), &[])
    }

    #[test]
    fn columns_are_guessed_by_their_values() {
        let usual =
            ["BHP;240102;10,5;11,5;10;11;500", "BHP;240103;11;12;10,5;11,5;600", "BHP;240104;11,5;12;11;11;700"];
        assert_eq!(guessed(&usual).as_deref(), Some("-,date,open,high,low,close,volume"));
        // Each bar begins where the one before ended.
        let backwards =
            ["1704153600;900;11;11.5;10;10.5", "1704240000;900;11.5;12;10.5;11", "1704326400;900;11;12;11;11.5"];
        assert_eq!(guessed(&backwards).as_deref(), Some("date,volume,close,high,low,open"));
        let average = [
            "1704153600;10.5;11.5;10;11;10.7;500",
            "1704240000;11;12;10.5;11.5;11.1;600",
            "1704326400;11.5;12;11;11;11.4;700",
        ];
        assert_eq!(guessed(&average).as_deref(), Some("date,open,high,low,close,-,volume"));
    }
}
