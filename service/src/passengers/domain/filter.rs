//! The query of a list: filters, order, page size and cursor.

use std::fmt::Display;
use std::str::FromStr;

use super::model::{Age, Class, Fare, Sex};
use super::sort::{Cursor, Sort};
use super::words::words_of;
use crate::fields::FieldError;
use crate::numbers::Whole;

/// One page of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The filter.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// The page size.
    pub limit: u8,
    /// The end of the page before.
    pub after: Option<Cursor>,
    /// True to count all matching passengers.
    pub total: bool,
}

/// A filter: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// The class.
    pub class: Option<Class>,
    /// The sex.
    pub sex: Option<Sex>,
    /// Saved or not.
    pub survived: Option<bool>,
    /// Beginnings of words of the name, all of them, in any order, without case and diacritics.
    pub words: Vec<String>,
    /// The least age. It excludes unknown ages.
    pub min_age: Option<Age>,
    /// The highest age. It excludes unknown ages.
    pub max_age: Option<Age>,
    /// The least fare. It excludes unknown fares.
    pub min_fare: Option<Fare>,
    /// The highest fare. It excludes unknown fares.
    pub max_fare: Option<Fare>,
}

const PARAMETERS: &str =
    "class, sex, survived, name, min_age, max_age, min_fare, max_fare, sort, limit, cursor, total";
/// A page size.
pub(in crate::passengers) type Limit = Whole<1, MOST_LIMIT>;
pub(in crate::passengers) const DEFAULT_LIMIT: u8 = 20;
pub(in crate::passengers) const MOST_LIMIT: u8 = 100;
pub(in crate::passengers) const MOST_NAME_CHARS: usize = 200;
pub(in crate::passengers) const MOST_WORDS: usize = 10;
const MOST_SHOWN_CHARS: usize = 60;

impl Query {
    /// Reads decoded query parameters, or names every one that is wrong.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, Vec<FieldError>> {
        let (filter, sort) = (Filter::default(), Sort::default());
        let mut query = Self { filter, sort, limit: DEFAULT_LIMIT, after: None, total: false };
        let mut errors = Vec::new();
        for (index, (name, text)) in pairs.iter().enumerate() {
            let repeated = pairs.iter().take(index).any(|(earlier, _)| earlier == name);
            let set =
                if repeated { Err(String::from("may be given once only")) } else { query.set(name, text) };
            if let Err(detail) = set {
                errors.push(FieldError::new(start_of(name), detail));
            }
        }
        let Filter { min_age, max_age, min_fare, max_fare, .. } = query.filter;
        if let (Some(least), Some(most)) = (min_age, max_age)
            && least.get() > most.get()
        {
            errors.push(FieldError::new("min_age", "must not be more than max_age"));
        }
        if let (Some(least), Some(most)) = (min_fare, max_fare)
            && least.get() > most.get()
        {
            errors.push(FieldError::new("min_fare", "must not be more than max_fare"));
        }
        if let Some(after) = &query.after
            && after.sort != query.sort
        {
            let detail = format!("belongs to `sort={}`; the order of a walk must stay the same", after.sort);
            errors.push(FieldError::new("cursor", detail));
        }
        if errors.is_empty() { Ok(query) } else { Err(errors) }
    }

    fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        match name {
            "class" => self.filter.class = Some(parsed(text)?),
            "sex" => self.filter.sex = Some(parsed(text)?),
            "survived" => self.filter.survived = Some(flag(text)?),
            "name" => self.filter.words = searched(text)?,
            "min_age" => self.filter.min_age = Some(parsed(text)?),
            "max_age" => self.filter.max_age = Some(parsed(text)?),
            "min_fare" => self.filter.min_fare = Some(parsed(text)?),
            "max_fare" => self.filter.max_fare = Some(parsed(text)?),
            "sort" => self.sort = parsed(text)?,
            "limit" => self.limit = parsed::<Limit>(text)?.get(),
            "cursor" => self.after = Some(parsed(text)?),
            "total" => self.total = flag(text)?,
            _ => return Err(format!("is not known; the parameters are {PARAMETERS}")),
        }
        Ok(())
    }
}

fn searched(text: &str) -> Result<Vec<String>, String> {
    let short = text.chars().count() <= MOST_NAME_CHARS;
    let words: Vec<_> =
        if short { words_of(text).split_whitespace().map(str::to_owned).collect() } else { Vec::new() };
    if (1..=MOST_WORDS).contains(&words.len()) {
        return Ok(words);
    }
    Err(format!("must be 1 to {MOST_WORDS} words in at most {MOST_NAME_CHARS} characters"))
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|expected| refusal(expected, text))
}

fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| refusal("`true` or `false`", text))
}

fn refusal(expected: impl Display, text: &str) -> String {
    format!("must be {expected}, not `{}`", start_of(text))
}

fn start_of(text: &str) -> String {
    text.chars().take(MOST_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::sort::Position;
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Query, Vec<String>> {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Query::from_pairs(&pairs)
            .map_err(|errors| errors.into_iter().map(|e| format!("{} {}", e.field, e.detail)).collect())
    }

    #[test]
    fn nothing_asked_gives_twenty_of_all() {
        let query = read(&[]).unwrap();
        assert_eq!(
            (query.filter, query.sort.to_string().as_str(), query.limit, query.after, query.total),
            (Filter::default(), "id", 20, None, false)
        );
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let errors = read(&[
            ("class", "4"),
            ("limit", "101"),
            ("total", "1"),
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
                "class must be a whole number from 1 to 3, not `4`",
                "limit must be a whole number from 1 to 100, not `101`",
                "total must be `true` or `false`, not `1`",
                "cursor must be the `next_cursor` of an earlier answer, unchanged, not `zzz`",
                "colour is not known; the parameters are class, sex, survived, name, min_age, max_age, min_fare, \
                 max_fare, sort, limit, cursor, total",
                "sex may be given once only",
                "min_age must not be more than max_age",
            ]
        );
    }

    #[test]
    fn a_name_is_searched_in_words() {
        assert_eq!(read(&[("name", " Åsa,ÖDE")]).unwrap().filter.words, ["asa", "ode"]);
        for nothing in ["", "%", "  ", &"a ".repeat(11), &"é".repeat(201)] {
            assert_eq!(
                read(&[("name", nothing)]).unwrap_err(),
                ["name must be 1 to 10 words in at most 200 characters"]
            );
        }
    }

    #[test]
    fn a_walk_keeps_its_order() {
        let cursor = Cursor { sort: "-age".parse().unwrap(), place: Position::Number(None), id: Uuid::nil() };
        let cursor = cursor.to_string();
        assert!(read(&[("cursor", &cursor), ("sort", "-age")]).is_ok());
        assert_eq!(
            read(&[("cursor", &cursor), ("sort", "age")]).unwrap_err(),
            ["cursor belongs to `sort=-age`; the order of a walk must stay the same"]
        );
    }
}
