//! Records of JSON on their way to delimited text.

use serde_json::{Map, Value};

use super::{columns, records};

/// JSON as delimited text.
#[derive(Debug)]
pub(super) struct AsText {
    pub csv: String,
    /// Whether the first line is a header that the JSON does not have as a record.
    pub has_header: bool,
}

/// Rows on their way to text.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub names: Vec<String>,
    /// One line a row, fields quoted where they must be.
    pub body: String,
    pub n_rows: usize,
    /// Whether another table of the same kind was passed over.
    pub has_rival: bool,
}

impl Rows {
    /// A record: an object by its names, an array by its places, or a line of text that is parted already.
    pub(super) fn push(&mut self, value: &Value, index: Option<&str>) {
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
            Value::Array(array) => cells.extend(array.iter().map(cell)),
            Value::String(line) if self.names.is_empty() => {
                self.body.push_str(line.trim());
                self.body.push('\n');
                self.n_rows += 1;
                return;
            }
            other => cells.push(cell(other)),
        }
        self.push_line(cells.iter().map(String::as_str));
        self.n_rows += 1;
    }

    pub(super) fn push_line<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        push_line(&mut self.body, cells);
    }

    /// Rows of several tickers as one table with a column that names them.
    pub(super) fn of_tickers(parts: Vec<(String, Self)>) -> Self {
        let mut all = Self { names: vec!["ticker".to_owned()], ..Self::default() };
        for (ticker, part) in parts {
            let places: Vec<usize> = part.names.iter().map(|name| all.place(name)).collect();
            for line in part.body.lines() {
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

    /// Records seen early lack the fields that came later: the header is as wide as the widest.
    pub(super) fn into_text(self) -> Option<AsText> {
        if self.n_rows == 0 {
            return None;
        }
        if self.names.is_empty() {
            return Some(AsText { csv: self.body, has_header: false });
        }
        let mut csv = String::with_capacity(self.body.len() + 200);
        push_line(&mut csv, self.names.iter().map(String::as_str));
        let width = self.names.len();
        for line in self.body.lines() {
            csv.push_str(line);
            let n_fields = records::scan(line, b',').first().map_or(0, |record| usize::from(record.fields));
            csv.extend(std::iter::repeat_n(',', width.saturating_sub(n_fields.max(1))));
            csv.push('\n');
        }
        Some(AsText { csv, has_header: true })
    }
}

/// One line of delimited text, fields quoted where they must be.
pub(super) fn push_line<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (idx, cell) in cells.enumerate() {
        if idx > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.extend(cell.chars().flat_map(|c| match c {
                '"' => vec!['"', '"'],
                '\n' | '\r' => vec![' '],
                c => vec![c],
            }));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push('\n');
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
