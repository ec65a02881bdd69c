//! A file without a header: refused, with a guess at its columns that can be sent back.

use super::header::modal_width;
use super::numbers::NumberFormat;
use super::records::{self, Record};
use super::{ReadError, dates};

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
    let message = match columns(&rows, width) {
        Some(guess) => format!(
            "no line of the file names its columns (the first is {first:?}); by its values it could be \
             columns={guess}: pass that if it is right"
        ),
        None => format!(
            "no line of the file names date, open, high, low and close (the first is {first:?}); add such a line, \
             or pass columns=date,open,high,low,close,volume in the file's order"
        ),
    };
    ReadError::unusable("missing_header", message)
}

/// Four neighbours of which one is always the highest and one the lowest are the prices.
fn columns(rows: &[Vec<String>], width: usize) -> Option<String> {
    let sample = rows.get(rows.len() / 2)?;
    let date = (0..width).find(|idx| dates::looks_like_date(&sample[*idx]))?;
    let time = Some(date + 1).filter(|idx| sample.get(*idx).is_some_and(|cell| cell.contains(':')));
    let value = |row: &Vec<String>, idx: usize| NumberFormat::DOT.volume(&row[idx]).ok();
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
    for from in time.unwrap_or(date) + 1..(width + 1).saturating_sub(4) {
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
        let mut rest = (0..4).filter(|at| *at != high && *at != low);
        names[from + rest.next()?] = "open";
        names[from + rest.next()?] = "close";
        let largest =
            |idx: usize| value(sample, idx).is_some_and(|v| value(sample, from).is_some_and(|p| v > p || v == 0.0));
        let before = (date + 1..from).find(|idx| names[*idx] == "-" && largest(*idx));
        let behind = Some(from + 4).filter(|idx| *idx < width && value(sample, *idx).is_some());
        if let Some(volume) = before.or(behind) {
            names[volume] = "volume";
        }
        return Some(names.join(","));
    }
    None
}
