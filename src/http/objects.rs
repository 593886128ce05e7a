//! JSON read as the contract says it: an object is an object and a day is written in one way.
//!
//! What serde derives would also take a list for an object, its members by their order in the code, and `chrono` takes
//! `2025-1-1` for a day. Here neither passes, and a text that only looks like such a day stays a text.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

use crate::text::is_odd_date;

/// How the error begins that refuses a day for its form.
pub(super) const ODD_DAY: &str = "a day is written 2025-12-31";

/// A value on its way into a type.
pub(super) struct Objects(pub(super) Value);

impl IntoDeserializer<'_, Error> for Objects {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Objects {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Objects));
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Value::Object(members) => {
                let mut members = MapDeserializer::new(members.into_iter().map(|(name, value)| (name, Objects(value))));
                let value = visitor.visit_map(&mut members)?;
                members.end().map(|()| value)
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// Words of a vocabulary; none of them has members.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    /// Days and ids are read this way, texts as strings.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0 {
            Value::String(text) if is_odd_date(text) => Err(Error::custom(ODD_DAY)),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        day: NaiveDate,
        text: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        inner: Vec<Inner>,
        other: Option<Box<Inner>>,
        any: Value,
    }

    fn read(value: Value) -> Result<Outer, String> {
        Outer::deserialize(Objects(value)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_object_is_no_list_at_any_depth() {
        let inner = json!({ "day": "2025-12-31", "text": "2025-1-1" });
        let good = json!({ "inner": [inner], "other": null, "any": [1, { "a": ["2025-1-1"] }] });
        let read_back = read(good).unwrap();
        assert_eq!(read_back.inner[0].text.as_deref(), Some("2025-1-1"), "a text may look like a day");
        assert_eq!(read_back.any, json!([1, { "a": ["2025-1-1"] }]));
        for bad in [
            json!([[], null, 1]),
            json!({ "inner": [["2025-12-31", null]], "any": 1 }),
            json!({ "inner": [], "other": ["2025-12-31", "x"], "any": 1 }),
        ] {
            assert!(read(bad.clone()).unwrap_err().starts_with("invalid type: sequence"), "{bad}");
        }
    }

    #[test]
    fn a_day_is_written_in_one_way() {
        for odd in ["2025-1-1", "+12345-01-01"] {
            let body = json!({ "inner": [{ "day": odd }], "any": 1 });
            assert_eq!(read(body).unwrap_err(), ODD_DAY);
        }
    }
}
