//! PromQL's vector selector, the language in which counters are named.

use core::fmt;
use std::str::FromStr;

use regex::Regex;

/// `metric{label="value",other=~"regex"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The metric name.
    pub metric: String,
    /// All must match; an absent label is the empty string.
    pub matchers: Vec<Matcher>,
}

/// One label condition.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The label.
    pub label: String,
    /// How it is compared.
    pub op: MatchOp,
    /// What it is compared with.
    pub value: String,
    /// The anchored expression, for the two regular operators.
    pub regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.label, self.op, &self.value) == (&other.label, other.op, &other.value)
    }
}

impl Eq for Matcher {}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// Why a selector cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSelector {
    /// Byte offset of the trouble.
    pub at: usize,
    /// What was expected there.
    pub expected: String,
}

impl fmt::Display for BadSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl core::error::Error for BadSelector {}

impl FromStr for Selector {
    type Err = BadSelector;
    fn from_str(text: &str) -> Result<Self, BadSelector> {
        Err(BadSelector { at: 0, expected: text.to_owned() })
    }
}

impl fmt::Display for Selector {
    /// As PromQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)
    }
}

impl Selector {
    /// Whether a series matches. `label` looks up one of its labels.
    pub fn matches<'a>(&self, metric: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let _ = label;
        metric == self.metric
    }
}
