//! Records of JSON on their way to delimited text.

use serde_json::{Map, Value};

use super::{IngestLimits, ReadError, columns, records};

/// JSON as delimited text.
#[derive(Debug)]
pub(super) struct AsText {
    pub csv: String,
    /// Whether the first line is a header that the JSON does not have as a record.
    pub has_header: bool,
}

/// Rows on their way to text. Names and text grow beyond what the JSON had (a name that only one record has is a comma in all
/// others): from where either passes its cap on, rows are only counted, and [`into_text`](Self::into_text) refuses.
#[derive(Debug)]
pub(super) struct Rows {
    pub names: Vec<String>,
    /// One line a row, fields quoted where they must be.
    pub body: String,
    pub n_rows: usize,
    /// Whether another table of the same kind was passed over.
    pub has_rival: bool,
    max_names: usize,
    max_bytes: usize,
    max_columns: usize,
}

impl Rows {
    pub(super) fn new(limits: &IngestLimits) -> Self {
        Self {
            names: Vec::new(),
            body: String::new(),
            n_rows: 0,
            has_rival: false,
            // Records may have fields that are no columns; lists in them are none.
            max_names: limits.max_columns.saturating_mul(4),
            max_bytes: limits.max_inflated_bytes,
            max_columns: limits.max_columns,
        }
    }

    fn over_cap(&self) -> Option<ReadError> {
        if self.names.len() > self.max_names {
            return Some(ReadError::OverLimit { code: "too_many_columns", what: "columns", max: self.max_columns });
        }
        let max = self.max_bytes;
        let is_over = self.body.len() > max;
        is_over.then_some(ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max })
    }

    /// A record: an object by its names, an array by its places, or a line of text that is parted already.
    pub(super) fn push(&mut self, value: &Value, index: Option<&str>) {
        self.n_rows += 1;
        if self.over_cap().is_some() {
            return;
        }
        let mut cells: Vec<String> = vec![String::new(); self.names.len()];
        let mut put =
            |rows: &mut Self, name: &str, value: String| match rows.names.iter().position(|known| known == name) {
                Some(at) => cells[at] = value,
                None => {
                    rows.names.push(name.to_owned());
                    cells.push(value);
                }
            };
        if let Some(index) = index {
            put(self, "date", index.to_owned());
        }
        match value {
            Value::Object(object) => flat(object).for_each(|(name, value)| put(self, name, cell(value))),
            // One more than the cap is enough to be refused.
            Value::Array(array) => cells.extend(array.iter().take(self.max_names + 1).map(cell)),
            Value::String(line) if self.names.is_empty() => {
                self.body.push_str(line.trim());
                self.body.push('\n');
                return;
            }
            other => cells.push(cell(other)),
        }
        self.push_line(cells.iter().map(String::as_str));
    }

    /// A line as it is, unless the text is over its cap already.
    pub(super) fn push_line<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        if self.body.len() <= self.max_bytes {
            push_line(&mut self.body, cells);
        }
    }

    /// A line that is written already, behind the ticker that it is of.
    fn push_line_of(&mut self, ticker: &str, line: &str) {
        if self.body.len() <= self.max_bytes {
            push_cell(&mut self.body, ticker);
            self.body.push(',');
            self.body.push_str(line);
            self.body.push('\n');
        }
    }

    /// Rows of several tickers as one table with a column that names them.
    pub(super) fn of_tickers(parts: Vec<(String, Self)>, limits: &IngestLimits) -> Self {
        let mut all = Self { names: vec!["ticker".to_owned()], ..Self::new(limits) };
        for (ticker, part) in parts {
            let places: Vec<usize> = part.names.iter().map(|name| all.place(name)).collect();
            // Names mostly stand in one order for all: then a line stays as it is.
            let is_in_place = places.iter().zip(1..).all(|(place, wanted)| *place == wanted);
            for line in part.body.lines() {
                if is_in_place {
                    all.push_line_of(&ticker, line);
                    continue;
                }
                let mut cells = vec![String::new(); all.names.len()];
                cells[0].clone_from(&ticker);
                for (place, field) in places.iter().zip(records::fields(line, b',')) {
                    cells[*place] = field;
                }
                all.push_line(cells.iter().map(String::as_str));
            }
            all.n_rows += part.n_rows;
        }
        all
    }

    /// The column of a name, a new one where there is none.
    fn place(&mut self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }

    /// Records seen early lack the fields that came later: the header is as wide as the widest. `None` without rows.
    ///
    /// # Errors
    /// `too_many_columns`, `inflated_too_large`.
    pub(super) fn into_text(self) -> Result<Option<AsText>, ReadError> {
        if let Some(error) = self.over_cap() {
            return Err(error);
        }
        if self.n_rows == 0 {
            return Ok(None);
        }
        if self.names.is_empty() {
            return Ok(Some(AsText { csv: self.body, has_header: false }));
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
            if csv.len() > self.max_bytes {
                let max = self.max_bytes;
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
