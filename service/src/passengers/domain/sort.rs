//! In which order passengers are listed, and where a page ended.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::model::{Age, Fare};
use super::words::are_words;

/// An order of the list. Passengers that are equal in it follow in the order of their ids, so that each has one place;
/// those without a value come last, whichever the direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    /// The sort key.
    pub by: SortBy,
    /// True if the largest comes first.
    pub descending: bool,
}

/// The sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortBy {
    /// The id, which is the order of creation.
    #[default]
    Id,
    /// The words of the name, without case and diacritics.
    Name,
    /// Years.
    Age,
    /// Pounds.
    Fare,
}

impl SortBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Age => "age",
            Self::Fare => "fare",
        }
    }
}

impl Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.descending { "-" } else { "" }, self.by.as_str())
    }
}

impl FromStr for Sort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let by =
            [SortBy::Id, SortBy::Name, SortBy::Age, SortBy::Fare].into_iter().find(|by| by.as_str() == name);
        by.map(|by| Self { by, descending })
            .ok_or("`id`, `name`, `age` or `fare`, with `-` in front for the other direction")
    }
}

/// The position of a passenger in an order.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// The position by id alone.
    Id,
    /// The position by the words of the name.
    Name(String),
    /// The position by a number, or among those without one.
    Number(Option<f64>),
}

/// The end of a page. Opaque to clients: the letter in front lets us change what follows without misreading old ones. It
/// holds the place itself and not only the id, so that the walk goes on when that passenger has meanwhile left.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// The order that the page was in.
    pub sort: Sort,
    /// The place of its last passenger.
    pub place: Position,
    /// The id of its last passenger.
    pub id: Uuid,
}

impl Cursor {
    const EXPECTED: &'static str = "the `next_cursor` of an earlier answer, unchanged";

    fn read(text: &str) -> Option<Self> {
        if let Some(id) = text.strip_prefix('a') {
            return Some(Self { sort: Sort::default(), place: Position::Id, id: plain_id(id)? });
        }
        let inner = String::from_utf8(hex::decode(text.strip_prefix('b')?).ok()?).ok()?;
        let (sort, rest) = inner.split_once(':')?;
        let (id, value) = rest.split_once(':')?;
        let (sort, id) = (sort.parse::<Sort>().ok()?, plain_id(id)?);
        let place = match sort.by {
            SortBy::Id => value.is_empty().then_some(Position::Id)?,
            SortBy::Name => are_words(value).then(|| Position::Name(value.to_owned()))?,
            SortBy::Age | SortBy::Fare if value.is_empty() => Position::Number(None),
            SortBy::Age => Position::Number(Some(value.parse::<Age>().ok()?.get())),
            SortBy::Fare => Position::Number(Some(value.parse::<Fare>().ok()?.get())),
        };
        Some(Self { sort, place, id })
    }
}

impl Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sort == Sort::default() {
            return write!(f, "a{}", self.id.simple());
        }
        let value = match &self.place {
            Position::Id | Position::Number(None) => String::new(),
            Position::Name(words) => words.clone(),
            Position::Number(Some(number)) => number.to_string(),
        };
        write!(f, "b{}", hex::encode(format!("{}:{}:{value}", self.sort, self.id.simple())))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).ok_or(Self::EXPECTED)
    }
}

fn plain_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_trip_to_the_client() {
        let id = Uuid::now_v7();
        for (sort, place) in [
            ("id", Position::Id),
            ("-id", Position::Id),
            ("name", Position::Name(String::from("odegard miss asa"))),
            ("-name", Position::Name(String::from("σοφια"))),
            ("-age", Position::Number(Some(0.9167))),
            ("fare", Position::Number(None)),
        ] {
            let cursor = Cursor { sort: sort.parse().unwrap(), place, id };
            let text = cursor.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
            assert_eq!(text.parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let forged = |inner: &str| {
            let hex: String = inner.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("b{hex}").parse::<Cursor>()
        };
        let id = Uuid::nil().simple();
        assert!(forged(&format!("age:{id}:3")).is_ok());
        for inner in ["", "age", "age:7:3", "cabin:7:3"] {
            assert!(forged(inner).is_err(), "{inner}");
        }
        for inner in
            [format!("age:{id}:NaN"), format!("age:{id}:-3"), format!("name:{id}:a'b"), format!("-id:{id}:3")]
        {
            assert!(forged(&inner).is_err(), "{inner}");
        }
        for text in ["", "a", "b", "zzz", "b0", "bé0", "b+1"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
