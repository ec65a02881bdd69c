//! JSON of bars: an array of objects or of arrays, columns, and the shapes that vendors answer in. It becomes
//! delimited text with a header, so that one reader reads all.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::json_rows::{AsText, Room, Rows};
use super::json_value::{Budget, Json};
use super::{IngestLimits, ReadError, json_shapes};
use json_shapes::no_bars;

/// Reads JSON.
///
/// # Errors
/// `invalid_json`; a cap that is passed; `error_body` with the message of a vendor's error; `missing_column` where nothing is bars.
pub(super) fn to_csv(text: &str, limits: &IngestLimits) -> Result<AsText, ReadError> {
    match strict(text, limits) {
        Err(error) if error.code() == "invalid_json" => match relaxed(text) {
            Some(repaired) => strict(&repaired, limits).map_err(|second| match second.code() {
                "invalid_json" => error,
                _ => second,
            }),
            None => Err(error),
        },
        answer => answer,
    }
}

fn strict(text: &str, limits: &IngestLimits) -> Result<AsText, ReadError> {
    let (budget, room) = (Budget::new(limits.max_json_values), Room::new(limits));
    let invalid = |error: serde_json::Error| {
        let why = || ReadError::unreadable("invalid_json", format!("the body is not JSON: {error}"));
        budget.passed().or_else(|| room.passed()).unwrap_or_else(why)
    };
    let text = unwrapped(text.trim());
    if text.starts_with('[') {
        let mut reader = serde_json::Deserializer::from_str(text);
        let rows = reader.deserialize_seq(Streamed(&room, &budget)).map_err(invalid)?;
        reader.end().map_err(invalid)?;
        return rows.into_text()?.ok_or_else(no_bars);
    }
    if let Some(rows) = lines(text, &room, &budget) {
        return rows.map_err(invalid)?.into_text()?.ok_or_else(no_bars);
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = budget.value().deserialize(&mut reader).map_err(invalid)?;
    reader.end().map_err(invalid)?;
    let found = json_shapes::find(&value, 0, &room);
    if let Some(error) = room.passed() {
        return Err(error);
    }
    match found {
        Some(rows) if rows.has_rival => Err(ReadError::unusable(
            "several_tables",
            "the JSON has several tables of bars, and none says whose they are: send them one by one",
        )),
        Some(rows) => {
            let text = rows.into_text()?.ok_or_else(no_bars)?;
            Ok(AsText { zone: json_shapes::zone(&value), ticker: json_shapes::ticker(&value), ..text })
        }
        None => Err(error_message(&value).map_or_else(|| json_shapes::no_bars_in(&value), error_body)),
    }
}

/// The value in `callback({…});` and `var name = [{…}];`, as scripts are answered.
fn unwrapped(text: &str) -> &str {
    let Some(at) = text.find(['{', '[']) else { return text };
    let before = text[..at].trim_end();
    let is_script = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.' | '/' | '*' | ' ' | '=' | '(');
    match before.ends_with(['(', '=']) && before.len() <= 100 && before.chars().all(is_script) {
        true => text[at..].trim_end_matches([')', ';', ' ', '\n', '\r']),
        false => text,
    }
}

/// One object a line; `None` where the first line is not a whole one.
fn lines<'a>(text: &str, room: &'a Room, budget: &Budget) -> Option<Result<Rows<'a>, serde_json::Error>> {
    let (first, rest) = text.split_once('\n')?;
    let is_object = |line: &str| {
        let mut reader = serde_json::Deserializer::from_str(line);
        budget.value().deserialize(&mut reader).is_ok_and(|value| value.as_object().is_some()) && reader.end().is_ok()
    };
    (rest.trim_start().starts_with('{') && is_object(first)).then(|| {
        let mut rows = Rows::new(room);
        let (mut skimmed, mut from) = (serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>(), 0);
        while let Some(value) = skimmed.next() {
            value?;
            let mut reader = serde_json::Deserializer::from_str(&text[from..skimmed.byte_offset()]);
            rows.push(&budget.value().deserialize(&mut reader)?, None);
            if rows.is_full() {
                break;
            }
            from = skimmed.byte_offset();
        }
        Ok(rows)
    })
}

/// Scripts answer in lists that are nearly JSON: strings in single quotes. `None` where there are none.
fn relaxed(text: &str) -> Option<String> {
    let mut in_quotes = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        in_quotes ^= c == '"';
        out.push(if c == '\'' && !in_quotes { '"' } else { c });
    }
    (out != text).then_some(out)
}

/// JSON under the name of a price file: an error answer is told by its own message.
pub(super) fn sent_as_text(text: &str) -> ReadError {
    /// An error answer is short.
    const MAX_VALUES: usize = 100_000;
    let first = Budget::new(MAX_VALUES);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = first.value().deserialize(&mut reader);
    if let Some(message) = value.as_ref().ok().and_then(error_message) {
        return error_body(message);
    }
    let what = match value.is_ok() || first.passed().is_some() {
        true => "is JSON; send it as application/json, or without a content type",
        false => "begins like JSON, but is not whole",
    };
    ReadError::missing("date", format!("no line names date, open, high, low, close: the body {what}"))
}

fn error_body(message: String) -> ReadError {
    ReadError::unusable(
        "error_body",
        format!("the body is an error answer of its source, not prices: {message:?}; download it again"),
    )
}

/// The message of an error answer, wherever it lies.
fn error_message(value: &Json) -> Option<String> {
    const KEYS: [&str; 13] = [
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
        "errmsg",
        "err_msg",
        "msg1",
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

/// A top-level array is read one record at a time, so that memory holds one record.
struct Streamed<'a>(&'a Room, &'a Budget);

impl<'de, 'a> Visitor<'de> for Streamed<'a> {
    type Value = Rows<'a>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("an array of bars")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Rows<'a>, A::Error> {
        let mut rows = Rows::new(self.0);
        while let Some(value) = seq.next_element_seed(self.1.value())? {
            rows.push(&value, None);
            if rows.is_full() {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> String {
        to_csv(text, &IngestLimits::default())
            .map_or_else(|error| format!("{}: {error}", error.code()), |text| text.csv)
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
    fn tables_of_tickers_are_put_together_and_nameless_ones_are_refused() {
        let bar = r#"{"t":"2024-01-02","o":1,"h":3,"l":0.5,"c":2}"#;
        let both = csv(&format!(r#"{{"bars":{{"AAPL":[{bar}],"MSFT":[{bar}]}}}}"#));
        assert!(both.starts_with("ticker,") && both.contains("AAPL,") && both.contains("MSFT,"), "{both}");
        let nameless = csv(&format!(r#"{{"first":[{bar}],"second":[{bar}]}}"#));
        assert!(nameless.starts_with("several_tables"), "{nameless}");
    }

    #[test]
    fn names_may_stand_beside_rows_and_prices_deeper_in_a_record() {
        for text in [
            r#"{"data":{"fields":["date","open","high","low","close"],"items":[["2024-01-02",1,3,0.5,2]]}}"#,
            r#"{"datatable":{"data":[["2024-01-02",1,3,0.5,2]],"columns":[{"name":"date"},{"name":"open"},{"name":"high"},{"name":"low"},{"name":"close"}]}}"#,
            "[['date','open','high','low','close'],\n[\"2024-01-02\",1,3,0.5,2]]",
        ] {
            assert_eq!(csv(text), "date,open,high,low,close\n2024-01-02,1,3,0.5,2\n", "{text}");
        }
        let nested = csv(r#"{"candles":[{"time":"2024-01-02","mid":{"o":"1","h":"3","l":"0.5","c":"2"}}]}"#);
        assert_eq!(nested, "time,c,h,l,o\n2024-01-02,2,3,0.5,1\n");
        let lines = "{\"date\":\"2024-01-02\",\"open\":1,\"high\":3,\"low\":0.5,\"close\":2}\n";
        assert_eq!(csv(&lines.repeat(2)).matches("2024-01-02").count(), 2);
    }

    #[test]
    fn late_fields_and_commas_keep_their_place() {
        let text = r#"[{"date":"2024-01-02","open":1,"high":"1,300","low":1},{"date":"2024-01-03","open":1,"high":3,"low":1,"close":2}]"#;
        let csv = csv(text);
        let widths: Vec<u16> = super::super::records::scan(&csv, b',').iter().map(|record| record.fields).collect();
        assert_eq!(widths, [5, 5, 5]);
    }

    #[test]
    fn all_tables_of_a_body_share_one_room() {
        let code = |text: &str, max_inflated_bytes| {
            let limits = IngestLimits { max_inflated_bytes, ..IngestLimits::default() };
            to_csv(text, &limits).map_or_else(|error| error.code(), |_| "ok")
        };
        // A record without fields is a line of commas.
        let table = r#"[{"t":1,"o":1,"h":3,"l":1,"c":2},{},{}]"#;
        let bytes = 2 * ("2,3,1,1,1\n,,,,\n,,,,\n".len());
        let nameless = format!(r#"{{"first":{table},"second":{table}}}"#);
        assert_eq!([bytes, bytes - 1].map(|max| code(&nameless, max)), ["several_tables", "inflated_too_large"]);
        let named = format!(r#"{{"AAPL":{table},"MSFT":{table}}}"#);
        let bytes = "ticker,c,h,l,o,t\n".len() + bytes + 6 * "AAPL,".len();
        assert_eq!([bytes, bytes - 1].map(|max| code(&named, max)), ["ok", "inflated_too_large"]);
    }

    #[test]
    fn names_beyond_the_cap_are_not_compared() {
        let prices = r#""date":"2024-01-02","open":1,"high":3,"low":1,"close":2"#;
        let more = |count: usize, value: &str| (0..count).map(|n| format!(",\"n{n}\":{value}")).collect::<String>();
        let record = |count| csv(&format!("[{{{prices}{}}}]", more(count, "1")));
        assert!(record(59).starts_with("close,date") && record(60).starts_with("too_many_columns"));
        // Comparing each with each would take minutes.
        assert!(record(300_000).starts_with("too_many_columns"));
        let days: String = (0..20_000).map(|n| format!(",\"{n}\":1")).collect();
        let columns = ["open", "high", "low", "close"].map(|name| format!("{name:?}:{{{}}}", &days[1..])).join(",");
        assert!(csv(&format!("{{{columns}{}}}", more(60, "{}"))).starts_with("close,high"));
        assert!(csv(&format!("{{{columns}{}}}", more(61, "{}"))).starts_with("too_many_columns"));
        // A table that is passed over may be of any width.
        let side = format!("[{{{prices}{}}}]", more(300, "1"));
        let bars = format!("[{{{prices}}},{{{prices}}}]");
        assert!(csv(&format!(r#"{{"fundamentals":{side},"bars":{bars}}}"#)).starts_with("close,date"));
        assert!(csv(&format!(r#"{{"a":{side},"bars":[{{{prices}}}]}}"#)).starts_with("close,date"), "of two as long");
    }

    #[test]
    fn an_error_answer_is_told_by_its_message() {
        let text = r#"{"finance":{"error":{"code":"Unauthorized","description":"Invalid cookie"}}}"#;
        assert!(csv(text).starts_with("error_body: ") && csv(text).contains("Invalid cookie"));
        let error = sent_as_text(&format!("{text}\n{text}\n2024-01-02,1,2"));
        assert!(error.code() == "error_body" && error.to_string().contains("Invalid cookie"));
        assert_eq!(sent_as_text("{\"bars\":[]}").code(), "missing_column");
        assert!(csv("[{").starts_with("invalid_json"));
        let wide =
            csv(&format!("[{{'date':'2024-01-02'{}}}]", (0..70).map(|n| format!(",'n{n}':1")).collect::<String>()));
        assert!(wide.starts_with("too_many_columns"), "in single quotes: {wide}");
        assert!(csv("{\"a\": 1}\n{\"a\"").starts_with("invalid_json"));
        assert!(csv("[]").starts_with("missing_column"));
    }
}
