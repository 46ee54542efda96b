//! What a client asks of the list: which passengers, how many, and after which one to go on.

use std::fmt::{self, Display};
use std::str::FromStr;

use uuid::Uuid;

use super::model::{Age, Class, Sex};
use crate::fields::FieldError;

/// One page of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which passengers.
    pub filter: Filter,
    /// How many at most.
    pub limit: u8,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

/// Which passengers: all that are set must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Of this class.
    pub class: Option<Class>,
    /// Of this sex.
    pub sex: Option<Sex>,
    /// Saved or not.
    pub survived: Option<bool>,
    /// With this text in the name, in whatever case.
    pub name: Option<String>,
    /// Of known age, at least this.
    pub min_age: Option<Age>,
    /// Of known age, at most this.
    pub max_age: Option<Age>,
}

const PARAMETERS: &str = "class, sex, survived, name, min_age, max_age, limit, cursor";
const DEFAULT_LIMIT: u8 = 20;
const MOST_NAME_CHARS: usize = 200;
const MOST_SHOWN_CHARS: usize = 60;

impl Query {
    /// Reads decoded query parameters, or names every one that is wrong.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, Vec<FieldError>> {
        let mut query = Self { filter: Filter::default(), limit: DEFAULT_LIMIT, after: None };
        let mut errors = Vec::new();
        for (index, (name, text)) in pairs.iter().enumerate() {
            let repeated = pairs.iter().take(index).any(|(earlier, _)| earlier == name);
            let set =
                if repeated { Err(String::from("may be given once only")) } else { query.set(name, text) };
            if let Err(detail) = set {
                errors.push(FieldError::new(start_of(name), detail));
            }
        }
        let Filter { min_age, max_age, .. } = query.filter;
        if let (Some(least), Some(most)) = (min_age, max_age)
            && least.years() > most.years()
        {
            errors.push(FieldError::new("min_age", "must not be more than max_age"));
        }
        if errors.is_empty() { Ok(query) } else { Err(errors) }
    }

    fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        match name {
            "class" => self.filter.class = Some(parsed(text)?),
            "sex" => self.filter.sex = Some(parsed(text)?),
            "survived" => {
                let survived = text.parse().map_err(|_| refusal("`true` or `false`", text))?;
                self.filter.survived = Some(survived);
            }
            "name" if (1..=MOST_NAME_CHARS).contains(&text.chars().count()) => {
                self.filter.name = Some(text.to_owned());
            }
            "name" => return Err(format!("must have 1 to {MOST_NAME_CHARS} characters")),
            "min_age" => self.filter.min_age = Some(parsed(text)?),
            "max_age" => self.filter.max_age = Some(parsed(text)?),
            "limit" => {
                let limit = text.parse().ok().filter(|limit| (1..=100).contains(limit));
                self.limit = limit.ok_or_else(|| refusal("a whole number from 1 to 100", text))?;
            }
            "cursor" => self.after = Some(parsed(text)?),
            _ => return Err(format!("is not known; the parameters are {PARAMETERS}")),
        }
        Ok(())
    }
}

fn parsed<T: FromStr<Err = &'static str>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|expected| refusal(expected, text))
}

fn refusal(expected: &str, text: &str) -> String {
    format!("must be {expected}, not `{}`", start_of(text))
}

fn start_of(text: &str) -> String {
    text.chars().take(MOST_SHOWN_CHARS).collect()
}

/// Where a page ended. Opaque to clients: the letter in front lets us change what follows without misreading old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub Uuid);

impl Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}", self.0.simple())
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.strip_prefix('a').filter(|id| id.len() == 32).and_then(|id| Uuid::try_parse(id).ok());
        id.map(Self).ok_or("the `next_cursor` of an earlier answer, unchanged")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Query, Vec<String>> {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Query::from_pairs(&pairs)
            .map_err(|errors| errors.into_iter().map(|e| format!("{} {}", e.field, e.detail)).collect())
    }

    #[test]
    fn nothing_asked_gives_twenty_of_all() {
        let query = read(&[]).unwrap();
        assert_eq!((query.filter, query.limit, query.after), (Filter::default(), 20, None));
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let errors = read(&[
            ("class", "4"),
            ("limit", "101"),
            ("cursor", "zzz"),
            ("colour", "red"),
            ("min_age", "40"),
            ("max_age", "30"),
            ("sex", "male"),
            ("sex", "female"),
        ])
        .unwrap_err();
        assert_eq!(
            errors,
            [
                "class must be 1, 2 or 3, not `4`",
                "limit must be a whole number from 1 to 100, not `101`",
                "cursor must be the `next_cursor` of an earlier answer, unchanged, not `zzz`",
                "colour is not known; the parameters are class, sex, survived, name, min_age, max_age, limit, cursor",
                "sex may be given once only",
                "min_age must not be more than max_age",
            ]
        );
    }

    #[test]
    fn a_cursor_survives_its_trip_to_the_client() {
        let cursor = Cursor(Uuid::now_v7());
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
}
