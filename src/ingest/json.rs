//! JSON of bars: an array of objects or of arrays, columns, and the shapes that vendors answer in. It becomes
//! delimited text with a header, so that one reader reads all.

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::{ReadError, columns, dates};

/// JSON as delimited text.
#[derive(Debug)]
pub(super) struct AsText {
    pub csv: String,
    /// Whether the first line is a header that the JSON does not have as a record.
    pub has_header: bool,
}

/// How deep bars may lie in an answer's wrapping.
const MAX_DEPTH: usize = 6;

/// Reads JSON.
///
/// # Errors
/// `invalid_json`; `error_body` with the message of a vendor's error; `missing_column` where nothing is bars.
pub(super) fn to_csv(text: &str) -> Result<AsText, ReadError> {
    let invalid =
        |error: serde_json::Error| ReadError::unreadable("invalid_json", format!("the body is not JSON: {error}"));
    if text.trim_start().starts_with('[') {
        let mut reader = serde_json::Deserializer::from_str(text);
        let rows = reader.deserialize_seq(Streamed).map_err(invalid)?;
        reader.end().map_err(invalid)?;
        return rows.into_text().ok_or_else(no_bars);
    }
    let value: Value = serde_json::from_str(text).map_err(invalid)?;
    match find(&value, 0) {
        Some(rows) => rows.into_text().ok_or_else(no_bars),
        None => Err(error_message(&value).map_or_else(no_bars, error_body)),
    }
}

/// JSON under the name of a price file: an error answer is told by its own message.
pub(super) fn sent_as_text(text: &str) -> ReadError {
    let first = serde_json::Deserializer::from_str(text).into_iter::<Value>().next();
    match first {
        Some(Ok(value)) => match error_message(&value) {
            Some(message) => error_body(message),
            None => ReadError::missing(
                "date",
                "no line names date, open, high, low, close: the body is JSON; send it as application/json",
            ),
        },
        _ => ReadError::missing(
            "date",
            "no line names date, open, high, low, close: the body begins like JSON, but is not whole",
        ),
    }
}

fn error_body(message: String) -> ReadError {
    ReadError::unusable(
        "error_body",
        format!("the body is an error answer of its source, not prices: {message:?}; download it again"),
    )
}

fn no_bars() -> ReadError {
    ReadError::missing(
        "date",
        "the JSON has no bars: send an array of objects with date, open, high, low, close, volume",
    )
}

/// The message of an error answer, wherever it lies.
fn error_message(value: &Value) -> Option<String> {
    const KEYS: [&str; 10] = [
        "description",
        "message",
        "error_message",
        "errormessage",
        "error message",
        "detail",
        "note",
        "information",
        "error",
        "msg",
    ];
    let object = value.as_object()?;
    for key in KEYS {
        let found = object.iter().find(|(name, _)| name.to_lowercase() == key);
        if let Some(text) = found.and_then(|(_, value)| value.as_str()).filter(|text| !text.is_empty()) {
            return Some(text.chars().take(200).collect());
        }
    }
    object.values().find_map(error_message)
}

/// Rows on their way to text.
#[derive(Debug, Default)]
struct Rows {
    names: Vec<String>,
    /// One line a row, fields quoted where they must be.
    body: String,
    n_rows: usize,
}

impl Rows {
    fn push(&mut self, value: &Value, index: Option<&str>) {
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
            Value::Object(object) => object.iter().for_each(|(name, value)| put(self, name, cell(value))),
            Value::Array(array) => cells.extend(array.iter().map(cell)),
            other => cells.push(cell(other)),
        }
        self.push_line(cells.iter().map(String::as_str));
        self.n_rows += 1;
    }

    fn push_line<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        push_line(&mut self.body, cells);
    }

    /// Records seen early lack the fields that came later: the header is as wide as the widest.
    fn into_text(self) -> Option<AsText> {
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
            let n_fields = super::records::scan(line, b',').first().map_or(0, |record| usize::from(record.fields));
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

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        Value::Array(_) | Value::Object(_) => String::new(),
        other => other.to_string(),
    }
}

/// A top-level array is read one record at a time, so that memory holds one record.
struct Streamed;

impl<'de> Visitor<'de> for Streamed {
    type Value = Rows;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("an array of bars")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Rows, A::Error> {
        let mut rows = Rows::default();
        while let Some(value) = seq.next_element::<Value>()? {
            rows.push(&value, None);
        }
        Ok(rows)
    }
}

/// The largest table of bars within a value.
fn find(value: &Value, depth: usize) -> Option<Rows> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Value::Array(items) => of_array(items).or_else(|| largest(items.iter(), depth)),
        Value::Object(object) => yahoo_chart(value)
            .or_else(|| split(value))
            .or_else(|| of_columns(object))
            .or_else(|| of_keyed(object))
            .or_else(|| largest(object.values(), depth)),
        _ => None,
    }
}

fn largest<'a>(values: impl Iterator<Item = &'a Value>, depth: usize) -> Option<Rows> {
    values.filter_map(|value| find(value, depth + 1)).max_by_key(|rows| rows.n_rows)
}

fn n_named<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names.filter(|name| columns::named(name).is_some()).count()
}

fn of_array(items: &[Value]) -> Option<Rows> {
    let is_bar = match items.first()? {
        Value::Object(object) => n_named(object.keys()) >= 3,
        Value::Array(array) => array.len() >= 5 && array.iter().all(|value| !value.is_object() && !value.is_array()),
        _ => false,
    };
    is_bar.then(|| {
        let mut rows = Rows::default();
        items.iter().for_each(|item| rows.push(item, None));
        rows
    })
}

/// `{"t": […], "o": […], …}`: arrays of one length under known names.
fn of_columns(object: &serde_json::Map<String, Value>) -> Option<Rows> {
    let arrays: Vec<(&String, &Vec<Value>)> =
        object.iter().filter_map(|(name, value)| value.as_array().map(|array| (name, array))).collect();
    let n_rows = arrays.iter().find(|(name, _)| columns::named(name).is_some())?.1.len();
    let equal: Vec<_> = arrays.into_iter().filter(|(_, array)| array.len() == n_rows).collect();
    let is_flat = equal.iter().all(|(_, array)| !array.iter().any(|value| value.is_object() || value.is_array()));
    (n_named(equal.iter().map(|(name, _)| *name)) >= 3 && is_flat).then(|| zipped(&equal))
}

fn zipped(arrays: &[(&String, &Vec<Value>)]) -> Rows {
    let mut rows = Rows { names: arrays.iter().map(|(name, _)| (*name).clone()).collect(), ..Rows::default() };
    rows.n_rows = arrays.iter().map(|(_, array)| array.len()).min().unwrap_or(0);
    for row in 0..rows.n_rows {
        let cells: Vec<String> = arrays.iter().map(|(_, array)| cell(&array[row])).collect();
        push_line(&mut rows.body, cells.iter().map(String::as_str));
    }
    rows
}

/// Objects by date: `{"2024-01-02": {"1. open": …}}`, or columns of them as pandas writes.
fn of_keyed(object: &serde_json::Map<String, Value>) -> Option<Rows> {
    let (key, first) = object.iter().next()?;
    let fields = first.as_object()?;
    if dates::looks_like_date(key) && n_named(fields.keys()) >= 3 {
        let mut rows = Rows::default();
        object.iter().for_each(|(date, record)| rows.push(record, Some(date)));
        return Some(rows);
    }
    let is_by_column =
        n_named(object.keys()) >= 4 && fields.keys().next().is_some_and(|key| dates::looks_like_date(key));
    is_by_column.then(|| {
        let mut rows = Rows::default();
        for index in fields.keys() {
            let record: serde_json::Map<String, Value> = object
                .iter()
                .filter_map(|(name, column)| Some((name.clone(), column.as_object()?.get(index)?.clone())))
                .collect();
            rows.push(&Value::Object(record), Some(index));
        }
        rows
    })
}

/// pandas' `orient="split"`.
fn split(value: &Value) -> Option<Rows> {
    let names = value.get("columns")?.as_array()?;
    let data = value.get("data")?.as_array()?;
    let index = value.get("index").and_then(Value::as_array);
    let mut rows = Rows { names: names.iter().map(cell).collect(), ..Rows::default() };
    let has_date = index.is_some_and(|index| index.first().is_some_and(|first| dates::looks_like_date(&cell(first))));
    if has_date {
        rows.names.insert(0, "date".to_owned());
    }
    for (row, record) in data.iter().enumerate() {
        let mut cells: Vec<String> = record.as_array()?.iter().map(cell).collect();
        if let Some(index) = index.filter(|_| has_date) {
            cells.insert(0, index.get(row).map(cell).unwrap_or_default());
        }
        rows.push_line(cells.iter().map(String::as_str));
        rows.n_rows += 1;
    }
    Some(rows)
}

/// Yahoo's chart answer: time stamps beside `indicators.quote[0]`.
fn yahoo_chart(value: &Value) -> Option<Rows> {
    let stamps = value.get("timestamp")?.as_array()?;
    let indicators = value.get("indicators")?;
    let quote = indicators.get("quote")?.get(0)?.as_object()?;
    let adjusted = indicators.get("adjclose").and_then(|adjusted| adjusted.get(0)).and_then(Value::as_object);
    let date = "timestamp".to_owned();
    let mut arrays: Vec<(&String, &Vec<Value>)> = vec![(&date, stamps)];
    let fields = quote.iter().chain(adjusted.into_iter().flatten());
    arrays.extend(fields.filter_map(|(name, value)| value.as_array().map(|array| (name, array))));
    arrays.retain(|(_, array)| array.len() == stamps.len());
    (arrays.len() >= 5).then(|| zipped(&arrays))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> String {
        to_csv(text).map_or_else(|error| format!("{}: {error}", error.code()), |text| text.csv)
    }

    #[test]
    fn each_shape_becomes_the_same_table() {
        let expected = "date,open,high,low,close\n2024-01-02,1,3,0.5,2\n";
        for text in [
            r#"[{"date":"2024-01-02","open":1,"high":3,"low":0.5,"close":"2"}]"#,
            r#"{"bars":[{"date":"2024-01-02","open":1,"high":3,"low":0.5,"close":2}],"next":null}"#,
            r#"{"columns":["date","open","high","low","close"],"index":[0],"data":[["2024-01-02",1,3,0.5,2]]}"#,
            r#"{"columns":["open","high","low","close"],"index":["2024-01-02"],"data":[[1,3,0.5,2]]}"#,
        ] {
            let rows = csv(text);
            let mut found: Vec<&str> = rows.split(['\n', ',']).collect();
            let mut wanted: Vec<&str> = expected.split(['\n', ',']).collect();
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{text}");
        }
        assert!(csv(r#"{"t":[1704153600],"o":[1],"h":[3],"l":[0.5],"c":[2],"s":"ok"}"#).contains("1704153600"));
        assert!(
            csv(
                r#"{"Time Series (Daily)":{"2024-01-02":{"1. open":"1","2. high":"3","3. low":"0.5","4. close":"2"}}}"#
            )
            .starts_with("date,1. open")
        );
        let chart = r#"{"chart":{"result":[{"timestamp":[1704205800],"indicators":{"quote":[{"open":[1],"high":[3],"low":[0.5],"close":[2],"volume":[5]}]}}],"error":null}}"#;
        assert!(csv(chart).contains("1704205800"), "{}", csv(chart));
    }

    #[test]
    fn late_fields_and_commas_keep_their_place() {
        let text = r#"[{"date":"2024-01-02","open":1,"high":"1,300","low":1},{"date":"2024-01-03","open":1,"high":3,"low":1,"close":2}]"#;
        let csv = csv(text);
        let widths: Vec<u16> = super::super::records::scan(&csv, b',').iter().map(|record| record.fields).collect();
        assert_eq!(widths, [5, 5, 5]);
    }

    #[test]
    fn an_error_answer_is_told_by_its_message() {
        let text = r#"{"finance":{"error":{"code":"Unauthorized","description":"Invalid cookie"}}}"#;
        assert!(csv(text).starts_with("error_body: ") && csv(text).contains("Invalid cookie"));
        let error = sent_as_text(&format!("{text}\n{text}\n2024-01-02,1,2"));
        assert!(error.code() == "error_body" && error.to_string().contains("Invalid cookie"));
        assert_eq!(sent_as_text("{\"bars\":[]}").code(), "missing_column");
        assert!(csv("[{").starts_with("invalid_json"));
        assert!(csv("[]").starts_with("missing_column"));
    }
}
