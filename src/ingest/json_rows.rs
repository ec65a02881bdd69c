//! Records of JSON on their way to delimited text.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write;

use super::json_value::{Fields, Json};
use super::{IngestLimits, ReadError, columns, records};

/// JSON as delimited text.
#[derive(Debug)]
pub(super) struct AsText {
    pub csv: String,
    /// Whether the first line is a header that the JSON does not have as a record.
    pub has_header: bool,
    /// The zone that an answer tells beside its bars.
    pub zone: Option<String>,
    /// Whose bars an answer says they are, beside them.
    pub ticker: Option<String>,
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
    /// How many fields a line has at least.
    narrowest: usize,
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
        Self { names, body: String::new(), narrowest: usize::MAX, n_rows: 0, has_rival: false, is_too_wide, room }
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
    pub(super) fn push(&mut self, value: &Json, index: Option<&str>) {
        self.n_rows += 1;
        if self.is_full() {
            return;
        }
        let index = index.map(|index| Json::Text(Cow::Borrowed(index)));
        let mut cells: Vec<&Json> = vec![&Json::Null; self.names.len()];
        let mut next = 0;
        let mut put = |rows: &mut Self, name, value| {
            // Records mostly have their fields in one order.
            let place = if rows.names.get(next).is_some_and(|known| known == name) { next } else { rows.place(name) };
            cells.resize(rows.names.len(), &Json::Null);
            cells[place] = value;
            next = place + 1;
        };
        if let Some(index) = &index {
            put(self, "date", index);
        }
        match value {
            // One more than the cap is enough to be refused.
            Json::Object(object) => {
                flat(object).take(self.room.max_columns + 1).for_each(|(name, value)| put(self, name, value));
            }
            Json::Array(array) => cells.extend(array.iter().take(self.room.max_columns + 1)),
            Json::Text(line) if self.names.is_empty() => {
                return self.append(0, |body| {
                    body.push_str(line.trim());
                    body.push('\n');
                });
            }
            other => cells.push(other),
        }
        self.push_values(cells.into_iter());
    }

    /// A line of these values.
    pub(super) fn push_values<'b, 'v: 'b>(&mut self, values: impl ExactSizeIterator<Item = &'b Json<'v>>) {
        self.append(values.len(), |body| push_parted(body, values, push_value));
    }

    /// Writes a line of so many fields.
    fn append(&mut self, n_fields: usize, write: impl FnOnce(&mut String)) {
        if !self.is_full() {
            self.narrowest = self.narrowest.min(n_fields);
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
                    all.append(part.narrowest.saturating_add(1), |text| push_line_of(text, &ticker, line));
                    continue;
                }
                let mut cells = vec![String::new(); all.names.len()];
                cells[0].clone_from(&ticker);
                for (place, field) in places.iter().zip(records::fields(line, b',')) {
                    cells[*place] = field;
                }
                all.append(cells.len(), |text| push_line(text, cells.iter().map(String::as_str)));
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
            return Ok(Some(AsText {
                csv: std::mem::take(&mut self.body),
                has_header: false,
                zone: None,
                ticker: None,
            }));
        }
        let mut csv = String::with_capacity(self.body.len() + 200);
        push_line(&mut csv, self.names.iter().map(String::as_str));
        let width = self.names.len();
        if self.narrowest >= width && csv.len() + self.body.len() <= self.room.max_bytes {
            csv.push_str(&self.body);
            return Ok(Some(AsText { csv, has_header: true, zone: None, ticker: None }));
        }
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
        Ok(Some(AsText { csv, has_header: true, zone: None, ticker: None }))
    }
}

/// One line of delimited text, fields quoted where they must be.
pub(super) fn push_line<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    push_parted(out, cells, push_cell);
}

fn push_parted<T>(out: &mut String, cells: impl Iterator<Item = T>, push: impl Fn(&mut String, T)) {
    for (idx, cell) in cells.enumerate() {
        if idx > 0 {
            out.push(',');
        }
        push(out, cell);
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

impl Json<'_> {
    /// As a cell.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        push_value(&mut text, self);
        text
    }
}

/// A value as a cell; what has parts of its own is none.
fn push_value(out: &mut String, value: &Json) {
    match value {
        Json::Null | Json::Array(_) => {}
        Json::Object(object) if is_wrapped(object) => push_wrapped(out, object),
        Json::Object(_) => {}
        Json::Text(text) => push_cell(out, text.trim()),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        // Writing to a string cannot fail.
        Json::Number(number) => _ = write!(out, "{number}"),
    }
}

/// A value that is written as an object: `{"$date": …}` of MongoDB, `{"year": 2024, "month": 1, "day": 2}` of charts,
/// `{"units": "286", "nano": 250000000}` of T-Invest.
fn is_wrapped(object: &Fields) -> bool {
    match object.len() {
        1 => object.keys().all(|name| name.starts_with('$')),
        2 => object.get("units").is_some() && object.get("nano").is_some(),
        3 => DATE.iter().all(|part| object.get(part).is_some()),
        _ => false,
    }
}

const DATE: [&str; 3] = ["year", "month", "day"];

fn push_wrapped(out: &mut String, object: &Fields) {
    if object.len() == 1 {
        return object.values().for_each(|value| push_value(out, value));
    }
    if let (Some(units), Some(nano)) = (object.get("units"), object.get("nano")) {
        let (units, nano) = (units.text(), nano.text());
        let (sign, nano) = nano.strip_prefix('-').map_or(("", nano.as_str()), |rest| ("-", rest));
        let sign = if units.starts_with('-') { "" } else { sign };
        return push_cell(out, &format!("{sign}{units}.{nano:0>9}"));
    }
    let mut date = String::new();
    for (idx, part) in DATE.iter().filter_map(|part| object.get(part)).enumerate() {
        if idx > 0 {
            date.push('-');
        }
        push_value(&mut date, part);
    }
    // A part that is a text with a comma or a quote breaks no line.
    push_cell(out, &date);
}

/// The fields of a record; those of the only object in it that has prices (`"mid": {"o": …}`) as its own.
pub(super) fn flat<'b, 'a>(object: &'b Fields<'a>) -> impl Iterator<Item = (&'b str, &'b Json<'a>)> {
    let with_prices = |value: &&Json| value.as_object().is_some_and(|inner| n_named(inner.keys()) >= 3);
    let mut priced = object.values().filter(with_prices);
    let inner = priced.next().filter(|_| priced.next().is_none()).and_then(Json::as_object);
    let own = object.iter().filter(|(_, value)| value.as_object().is_none_or(is_wrapped));
    own.chain(inner.into_iter().flat_map(Fields::iter))
}

/// How many of some names are columns'.
pub(super) fn n_named<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.filter(|name| columns::named(name).is_some()).count()
}
