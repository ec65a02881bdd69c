//! Records of JSON on their way to delimited text.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::{IngestLimits, ReadError, columns, records};

/// JSON as delimited text.
#[derive(Debug)]
pub(super) struct AsText {
    pub csv: String,
    /// Whether the first line is a header that the JSON does not have as a record.
    pub has_header: bool,
}

/// What the tables of one body may take together. Text grows beyond what the JSON had: a name that only one record has is a
/// comma in all others.
#[derive(Debug)]
pub(super) struct Room {
    pub max_columns: usize,
    max_bytes: usize,
    n_bytes: Cell<usize>,
    is_spent: Cell<bool>,
}

impl Room {
    pub(super) fn new(limits: &IngestLimits) -> Self {
        let (max_columns, max_bytes) = (limits.max_columns, limits.max_inflated_bytes);
        Self { max_columns, max_bytes, n_bytes: Cell::new(0), is_spent: Cell::new(false) }
    }

    /// Why nothing more is read, where the cap was passed.
    pub(super) fn passed(&self) -> Option<ReadError> {
        let over = ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max: self.max_bytes };
        self.is_spent.get().then_some(over)
    }

    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.get()
    }

    fn take(&self, n_bytes: usize) {
        self.n_bytes.set(self.n_bytes.get() + n_bytes);
        if self.n_bytes.get() > self.max_bytes {
            self.is_spent.set(true);
        }
    }

    fn give_back(&self, n_bytes: usize) {
        self.n_bytes.set(self.n_bytes.get() - n_bytes);
    }
}

/// Rows on their way to text. Once their room is spent or they are too wide they only count, and
/// [`into_text`](Self::into_text) refuses: a table beside the one that is read may be of any width.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub names: Vec<String>,
    /// One line a row, fields quoted where they must be.
    body: String,
    pub n_rows: usize,
    /// Whether another table of the same kind was passed over.
    pub has_rival: bool,
    is_too_wide: bool,
    room: &'a Room,
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.body.len());
    }
}

impl<'a> Rows<'a> {
    pub(super) fn new(room: &'a Room) -> Self {
        Self::named(Vec::new(), room)
    }

    pub(super) fn named(names: Vec<String>, room: &'a Room) -> Self {
        let is_too_wide = names.len() > room.max_columns;
        Self { names, body: String::new(), n_rows: 0, has_rival: false, is_too_wide, room }
    }

    /// Rows of more columns than are read.
    pub(super) fn too_wide(n_rows: usize, room: &'a Room) -> Self {
        let mut rows = Self::new(room);
        (rows.n_rows, rows.is_too_wide) = (n_rows, true);
        rows
    }

    /// Whether nothing more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.is_too_wide || self.room.is_spent()
    }

    /// A record: an object by its names, an array by its places, or a line of text that is parted already.
    pub(super) fn push(&mut self, value: &Value, index: Option<&str>) {
        self.n_rows += 1;
        if self.is_full() {
            return;
        }
        let mut cells: Vec<String> = vec![String::new(); self.names.len()];
        let mut put = |rows: &mut Self, name: &str, value: String| {
            let place = rows.place(name);
            cells.resize(rows.names.len(), String::new());
            cells[place] = value;
        };
        if let Some(index) = index {
            put(self, "date", index.to_owned());
        }
        match value {
            // One more than the cap is enough to be refused.
            Value::Object(object) => {
                flat(object).take(self.room.max_columns + 1).for_each(|(name, value)| put(self, name, cell(value)));
            }
            Value::Array(array) => cells.extend(array.iter().take(self.room.max_columns + 1).map(cell)),
            Value::String(line) if self.names.is_empty() => {
                return self.append(|body| *body += &format!("{}\n", line.trim()));
            }
            other => cells.push(cell(other)),
        }
        self.push_line(cells.iter().map(String::as_str));
    }

    /// A line of these fields.
    pub(super) fn push_line<'b>(&mut self, cells: impl Iterator<Item = &'b str>) {
        self.append(|body| push_line(body, cells));
    }

    fn append(&mut self, write: impl FnOnce(&mut String)) {
        if !self.is_full() {
            let before = self.body.len();
            write(&mut self.body);
            self.room.take(self.body.len() - before);
        }
    }

    /// Rows of several tickers as one table with a column that names them.
    pub(super) fn of_tickers(parts: Vec<(String, Self)>, room: &'a Room) -> Self {
        let mut all = Self::named(vec!["ticker".to_owned()], room);
        for (ticker, mut part) in parts {
            all.is_too_wide |= part.is_too_wide;
            if all.is_full() {
                break;
            }
            // What is copied is in memory twice, but no longer than one part is.
            room.give_back(part.body.len());
            let body = std::mem::take(&mut part.body);
            all.n_rows += part.n_rows;
            let places: Vec<usize> = part.names.iter().map(|name| all.place(name)).collect();
            // Names mostly stand in one order for all: then a line stays as it is.
            let is_in_place = places.iter().zip(1..).all(|(place, wanted)| *place == wanted);
            for line in body.lines() {
                if is_in_place {
                    all.append(|text| push_line_of(text, &ticker, line));
                    continue;
                }
                let mut cells = vec![String::new(); all.names.len()];
                cells[0].clone_from(&ticker);
                for (place, field) in places.iter().zip(records::fields(line, b',')) {
                    cells[*place] = field;
                }
                all.push_line(cells.iter().map(String::as_str));
            }
        }
        all
    }

    /// The column of a name, a new one where there is none.
    fn place(&mut self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.is_too_wide |= self.names.len() > self.room.max_columns;
            self.names.len() - 1
        })
    }

    /// Records seen early lack the fields that came later: the header is as wide as the widest. `None` without rows.
    ///
    /// # Errors
    /// `too_many_columns`, `inflated_too_large`.
    pub(super) fn into_text(mut self) -> Result<Option<AsText>, ReadError> {
        if let Some(error) = self.room.passed() {
            return Err(error);
        }
        if self.is_too_wide {
            let max = self.room.max_columns;
            return Err(ReadError::OverLimit { code: "too_many_columns", what: "columns", max });
        }
        if self.n_rows == 0 {
            return Ok(None);
        }
        if self.names.is_empty() {
            self.room.give_back(self.body.len());
            return Ok(Some(AsText { csv: std::mem::take(&mut self.body), has_header: false }));
        }
        let mut csv = String::with_capacity(self.body.len() + 200);
        push_line(&mut csv, self.names.iter().map(String::as_str));
        let width = self.names.len();
        for line in self.body.lines() {
            csv.push_str(line);
            let n_fields = match line.contains('"') {
                true => records::scan(line, b',').first().map_or(0, |record| usize::from(record.fields)),
                false => line.bytes().filter(|byte| *byte == b',').count() + 1,
            };
            csv.extend(std::iter::repeat_n(',', width.saturating_sub(n_fields.max(1))));
            csv.push('\n');
            if csv.len() > self.room.max_bytes {
                let max = self.room.max_bytes;
                return Err(ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max });
            }
        }
        Ok(Some(AsText { csv, has_header: true }))
    }
}

/// One line of delimited text, fields quoted where they must be.
pub(super) fn push_line<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (idx, cell) in cells.enumerate() {
        if idx > 0 {
            out.push(',');
        }
        push_cell(out, cell);
    }
    out.push('\n');
}

/// A line that is written already, behind the ticker that it is of.
fn push_line_of(out: &mut String, ticker: &str, line: &str) {
    push_cell(out, ticker);
    out.push(',');
    out.push_str(line);
    out.push('\n');
}

/// One field, quoted where it must be.
pub(super) fn push_cell(out: &mut String, cell: &str) {
    if !cell.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return out.push_str(cell);
    }
    out.push('"');
    for c in cell.chars() {
        match c {
            '"' => out.push_str("\"\""),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A value as a cell; what has parts of its own is none.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        Value::Array(_) | Value::Object(_) => String::new(),
        other => other.to_string(),
    }
}

/// The fields of a record; those of the only object in it that has prices (`"mid": {"o": …}`) as its own.
pub(super) fn flat(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let with_prices = |value: &Value| value.as_object().is_some_and(|inner| n_named(inner.keys()) >= 3);
    let mut priced = object.values().filter(|value| with_prices(value));
    let inner = priced.next().filter(|_| priced.next().is_none()).and_then(Value::as_object);
    object.iter().filter(|(_, value)| !value.is_object()).chain(inner.into_iter().flatten())
}

/// How many of some names are columns'.
pub(super) fn n_named<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names.filter(|name| columns::named(name).is_some()).count()
}
