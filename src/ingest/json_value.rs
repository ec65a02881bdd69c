//! JSON values under a cap on what they take in memory at one time.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::ReadError;

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

/// Reads a [`Value`] as serde_json does, and counts it.
pub(super) struct Capped<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Capped<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.take(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Capped<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Capped(self.0))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            self.0.take(1 + if begins_node(fields.len()) { NODE } else { 0 })?;
            fields.insert(name, map.next_value_seed(Capped(self.0))?);
        }
        Ok(Value::Object(fields))
    }
}

/// An object is a tree with up to eleven fields a node, and a node takes 632 bytes however few it has.
const NODE: usize = 20;

/// Whether one more field may need a node more: a full one is parted into halves of five and six.
fn begins_node(n_fields: usize) -> bool {
    n_fields == 0 || (n_fields >= 11 && (n_fields - 11).is_multiple_of(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, budget: &Budget) -> Result<Value, serde_json::Error> {
        budget.value().deserialize(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn a_value_is_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,3.5,1e300,18446744073709551615,"x\u00e9\n",true,null],"b":{"a":{}},"a":[[]]}"#;
        assert_eq!(read(text, &Budget::new(100)).expect("JSON"), serde_json::from_str::<Value>(text).expect("JSON"));
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
        // Itself, a node, and a name and a value each.
        assert_eq!([0, 1, 11].map(cost), [1, 23, 43].map(Some));
        assert_eq!([12, 16, 17].map(cost), [65, 73, 95].map(Some), "with another node");
    }
}
