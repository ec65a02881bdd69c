//! What a command prints: tables for people, JSON for machines.

use std::io::{self, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, presets};
use serde::Serialize;
use serde_json::Value;

use super::reading::in_flags;

/// Rows of one line each need no line between them.
const ROWS_OF_ONE_LINE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('═').junction('═'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

/// Standard output, with the form that was asked for.
#[derive(Debug)]
pub(super) struct Output {
    /// JSON in place of tables and sentences.
    pub(super) json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// One JSON value on one line.
    pub(super) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.raw(&line)
    }

    /// A sentence for people; silent for machines.
    pub(super) fn say(&mut self, text: impl AsRef<str>) -> anyhow::Result<()> {
        match self.json {
            true => Ok(()),
            false => self.raw(format!("{}\n", text.as_ref()).as_bytes()),
        }
    }

    pub(super) fn table<const N: usize>(
        &mut self,
        header: [&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) -> anyhow::Result<()> {
        let rows: Vec<[String; N]> = rows.collect();
        let has_long_rows = rows.iter().flatten().any(|cell| cell.contains('\n'));
        let mut table = Table::new();
        table.load_style(if has_long_rows { presets::UTF8_HORIZONTAL_ONLY } else { ROWS_OF_ONE_LINE });
        table.set_content_arrangement(ContentArrangement::Dynamic).set_header(header).add_rows(rows);
        // Two spaces between columns, none at the edges.
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 1));
        });
        // What names a row is never broken over lines, so that it can be copied.
        if let Some(name) = table.column_mut(0) {
            name.set_constraint(ColumnConstraint::ContentWidth);
        }
        self.raw(format!("{}\n", table.trim_fmt()).as_bytes())
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(())
    }
}

/// Whether the reader of a pipe went away, as `head` does: no failure of ours.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An error with its causes on one line, in the words of the command line; a cause that the text before it already
/// tells is not told again.
pub(super) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().replace('\n', " ");
        match line.is_empty() {
            true => line = text,
            false if line.contains(&text) => {}
            false => line = format!("{line}: {text}"),
        }
    }
    in_flags(&line)
}

/// The leaves of a JSON value by their dotted paths.
pub(super) fn flatten(value: &Value) -> Vec<(String, String)> {
    let mut leaves = Vec::new();
    walk(String::new(), value, &mut leaves);
    leaves
}

fn walk(path: String, value: &Value, leaves: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, leaves);
            }
        }
        Value::String(text) => leaves.push((path, text.clone())),
        other => leaves.push((path, other.to_string())),
    }
}

/// Epoch milliseconds as UTC, to the second.
pub(super) fn instant(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A price with as many decimals as its size deserves.
pub(super) fn price(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.6}"),
    }
}

/// An absent value as people expect it in a table.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_the_decimals_that_its_size_deserves() {
        assert_eq!([83_600.4, 9_999.5, 0.012_345_6].map(price), ["83600", "9999.50", "0.012346"]);
    }

    #[test]
    fn a_cause_is_told_once() {
        let refused = || io::Error::other("address in use");
        let bind = anyhow::Error::new(refused()).context("cannot listen on 127.0.0.1:80: address in use");
        assert_eq!(one_line(&bind), "cannot listen on 127.0.0.1:80: address in use");
        assert_eq!(one_line(&anyhow::Error::new(refused()).context("no\nserver")), "no server: address in use");
    }
}
