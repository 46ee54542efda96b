//! JSON within bounds: of time, and of values, because a value takes up to thirty times the bytes it is written with.

use core::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use tokio::time::Instant;

/// Values of one body.
const MOST_VALUES: usize = 200_000;

/// Values between two looks at the clock.
const CLOCK_EVERY: usize = 1024;

/// Parses a body. The error is for people.
pub(super) fn parse(body: &[u8], deadline: Instant) -> Result<Value, String> {
    let mut budget = Budget { values: 0, deadline };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = Bounded(&mut budget).deserialize(&mut deserializer);
    let parsed = parsed.and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| format!("the body is no JSON: {error}"))
}

struct Budget {
    values: usize,
    deadline: Instant,
}

impl Budget {
    fn spend<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(E::custom(format!("it has more than {MOST_VALUES} values")));
        }
        if self.values.is_multiple_of(CLOCK_EVERY) && Instant::now() > self.deadline {
            return Err(E::custom("the deadline passed while it was read"));
        }
        Ok(())
    }
}

struct Bounded<'b>(&'b mut Budget);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Bounded(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.0.spend::<A::Error>().map_err(A::Error::custom)?;
            let value = entries.next_value_seed(Bounded(self.0))?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn it_reads_what_the_library_reads() {
        for text in [
            "null",
            "[1,-2,3.5,\"a\",true,null,{\"b\":[]}]",
            "{\"a\":{\"b\":18446744073709551615}}",
            " \"x\" ",
        ] {
            assert_eq!(
                parse(text.as_bytes(), later()).unwrap(),
                serde_json::from_str::<Value>(text).unwrap(),
                "{text}"
            );
        }
        for text in ["", "<html>", "{\"a\":1} x", "{\"a\":", &"[".repeat(1000)] {
            assert!(
                parse(text.as_bytes(), later()).unwrap_err().starts_with("the body is no JSON: "),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn values_and_time_are_bounded() {
        let many = format!("[{}0]", "0,".repeat(4_000_000));
        assert!(parse(many.as_bytes(), later()).unwrap_err().contains("more than 200000 values"));
        let some = format!("[{}0]", "0,".repeat(100_000));
        assert!(parse(some.as_bytes(), later()).is_ok());
        let past = Instant::now();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(parse(some.as_bytes(), past).unwrap_err().contains("the deadline passed"));
    }
}
