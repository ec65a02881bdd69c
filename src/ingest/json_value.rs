//! JSON values under a cap on what they take in memory at one time.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::ReadError;

/// A value of a body. serde_json's own copies each text and takes a node of 632 bytes for each object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    /// As it stands in the body, where it has no escapes.
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Fields<'a>),
}

impl<'a> Json<'a> {
    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub(super) fn as_object(&self) -> Option<&Fields<'a>> {
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }

    /// A field of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// Whether it has parts of its own.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Object(_))
    }
}

/// The fields of an object by their names; of two of one name, the last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Fields<'a> {
    pub(super) fn new(mut fields: Vec<(Cow<'a, str>, Json<'a>)>) -> Self {
        if !fields.is_sorted_by(|(one, _), (next, _)| one < next) {
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            fields.dedup_by(|later, kept| {
                let is_same = later.0 == kept.0;
                if is_same {
                    std::mem::swap(later, kept);
                }
                is_same
            });
        }
        Self(fields)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Json<'a>> {
        self.iter().map(|(_, value)| value)
    }
}

/// How many more values may be read, each of 32 bytes.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    left: Cell<usize>,
    is_over: Cell<bool>,
}

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        Self { max, left: Cell::new(max), is_over: Cell::new(false) }
    }

    /// Reads one value; those that were read before are no longer in memory.
    pub(super) fn value(&self) -> Capped<'_> {
        self.left.set(self.max);
        Capped(self)
    }

    /// Why reading ended, where the cap was passed.
    pub(super) fn passed(&self) -> Option<ReadError> {
        let over =
            ReadError::OverLimit { code: "too_many_json_values", what: "JSON values at one time", max: self.max };
        self.is_over.get().then_some(over)
    }

    fn take<E: Error>(&self, n_values: usize) -> Result<(), E> {
        match self.left.get().checked_sub(n_values) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.is_over.set(true);
                Err(E::custom("too many values"))
            }
        }
    }
}

/// Reads a [`Json`] and counts it.
pub(super) struct Capped<'a>(&'a Budget);

/// A field's name, as it stands in the body.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Capped<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        self.0.take(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Capped<'_> {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Capped(self.0))? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            self.0.take(1 + if fields.is_empty() { ROOM } else { 0 })?;
            fields.push((name, map.next_value_seed(Capped(self.0))?));
        }
        Ok(Json::Object(Fields::new(fields)))
    }
}

/// An object has room for four fields at least, a name and a value each.
const ROOM: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(text: &'a str, budget: &Budget) -> Result<Json<'a>, serde_json::Error> {
        budget.value().deserialize(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn a_value_is_what_serde_json_reads() {
        fn of(value: &serde_json::Value) -> Json<'_> {
            match value {
                serde_json::Value::Null => Json::Null,
                serde_json::Value::Bool(value) => Json::Bool(*value),
                serde_json::Value::Number(number) => Json::Number(number.clone()),
                serde_json::Value::String(text) => Json::Text(Cow::Borrowed(text)),
                serde_json::Value::Array(items) => Json::Array(items.iter().map(of).collect()),
                serde_json::Value::Object(fields) => Json::Object(Fields(
                    fields.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), of(value))).collect(),
                )),
            }
        }
        let text =
            r#"{"b":{"a":{}},"a":[1,-2],"c\n":"x\u00e9","a":[3.5,1e300,18446744073709551615,true,null,[[]]],"a\t":0}"#;
        let value = read(text, &Budget::new(100)).expect("JSON");
        assert_eq!(value, of(&serde_json::from_str(text).expect("JSON")));
        assert_eq!(value.get("c\n").and_then(Json::as_str), Some("x\u{e9}"));
        assert_eq!(value.get("d"), None);
    }

    #[test]
    fn texts_are_not_copied() {
        let text = r#"{"date":"2024-01-02"}"#;
        let Ok(Json::Object(Fields(fields))) = read(text, &Budget::new(100)) else { panic!("an object") };
        assert!(matches!(fields.as_slice(), [(Cow::Borrowed("date"), Json::Text(Cow::Borrowed("2024-01-02")))]));
    }

    #[test]
    fn the_cap_holds_on_both_sides_and_for_each_value_anew() {
        let budget = Budget::new(4);
        assert!(read("[1,2,3]", &budget).is_ok() && read("[[[1]]]", &budget).is_ok() && budget.passed().is_none());
        assert!(read("[1,2,3,4]", &budget).is_err());
        assert_eq!(budget.passed().map(|error| error.code()), Some("too_many_json_values"));
    }

    #[test]
    fn an_object_costs_what_it_takes() {
        let cost = |n_fields: usize| {
            let fields: Vec<String> = (0..n_fields).map(|n| format!("\"{n}\":1")).collect();
            let text = format!("{{{}}}", fields.join(","));
            (0..).find(|max| read(&text, &Budget::new(*max)).is_ok())
        };
        // Itself, room for more, and a name and a value each.
        assert_eq!([0, 1, 2, 11].map(cost), [1, 9, 11, 29].map(Some));
    }
}
