//! The rules for migrations: add now, take away a release later, so that the release before it can be put back
//! (`docs/decisions/0011`).
//!
//! These tests read the text of migrations. That the release before gets along with what was added is for whoever writes
//! the migration to know.

use std::path::Path;

/// The comment that says that nothing in the release before uses what a statement takes away: `-- contract: since 0.3` above it.
const MARK: &str = "contract: since ";
/// Written before there was a release to go back to; a migration that may have been applied is never changed.
const BEFORE_THE_RULE: [&str; 1] = ["sqlite/0002_fares_versions_words.sql"];

/// A statement in lower case with single spaces, without comments and without what stands between quotes.
#[derive(Debug, Default, PartialEq)]
struct Statement {
    code: String,
    comments: Vec<String>,
}

/// Cuts a script into its statements. A comment belongs to the statement that ends next.
fn statements(script: &str) -> Vec<Statement> {
    let (mut all, mut now, mut rest) = (Vec::new(), Statement::default(), script);
    while let Some(next) = rest.chars().next() {
        let upto = |open: &str, close: &str| {
            let inside = rest.strip_prefix(open)?;
            let length = inside.find(close).unwrap_or(inside.len());
            Some((&inside[..length], inside.get(length + close.len()..).unwrap_or_default()))
        };
        let comment = upto("--", "\n").or_else(|| upto("/*", "*/"));
        let quoted = upto("$$", "$$").or_else(|| upto("'", "'"));
        if let Some((comment, after)) = comment {
            now.comments.push(comment.trim().to_owned());
            now.code.push(' ');
            rest = after;
        } else if let Some((_, after)) = quoted {
            now.code.push_str("''");
            rest = after;
        } else {
            rest = &rest[next.len_utf8()..];
            match next {
                ';' => all.push(std::mem::take(&mut now)),
                '"' => {}
                other => now.code.extend(other.to_lowercase()),
            }
        }
    }
    all.push(now);
    for statement in &mut all {
        statement.code = statement.code.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    all.retain(|statement| !statement.code.is_empty());
    all
}

/// Returns the part of a statement that the release before may not survive.
fn takes_away(code: &str, script: &[Statement]) -> Option<&'static str> {
    let has = |words: &str| format!(" {code} ").contains(&format!(" {words} "));
    // Functions and triggers say in their bodies what they do with rows, which is no change of tables.
    if has("drop") && !code.starts_with("drop index") {
        return Some("drops something");
    }
    if has("rename") {
        return Some("renames something");
    }
    if has("alter column") || has("set not null") {
        return Some("changes a column");
    }
    if code.starts_with("alter table") && (has("add constraint") || has("add check") || has("add unique")) {
        return Some("adds a rule to a table that is written to");
    }
    if let Some(index) = code.strip_prefix("create unique index ") {
        let table = index.split(" on ").nth(1).and_then(|on| on.split([' ', '(']).next()).unwrap_or_default();
        let made_here = format!("create table {table} ");
        if !script.iter().any(|statement| statement.code.starts_with(&made_here)) {
            return Some("adds a rule to a table that is written to");
        }
    }
    let added = code.strip_prefix("alter table").into_iter().flat_map(|code| code.split(" add ").skip(1));
    for column in added {
        if column.contains("not null") && !column.contains(" default ") && !column.contains(" generated ") {
            return Some("adds a column that the release before does not know to fill");
        }
    }
    None
}

/// A version as a pair of numbers.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().splitn(3, '.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Returns whether a comment says that this statement takes away what nothing has used since a release that is out.
fn is_marked(statement: &Statement) -> bool {
    let ours = version(env!("CARGO_PKG_VERSION"));
    statement.comments.iter().filter_map(|comment| comment.strip_prefix(MARK)).any(|since| {
        let since = version(since);
        since.is_some() && since <= ours
    })
}

fn faults(script: &str) -> Vec<String> {
    let all = statements(script);
    let unmarked = all.iter().filter(|statement| !is_marked(statement));
    let fault =
        |statement: &Statement| Some(format!("{}: {}", takes_away(&statement.code, &all)?, statement.code));
    unmarked.filter_map(fault).collect()
}

#[test]
fn no_migration_takes_away_what_the_release_before_uses() {
    let mut seen = 0;
    for kind in ["sqlite", "postgres"] {
        for entry in std::fs::read_dir(Path::new("migrations").join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{kind}/{}", path.file_name().unwrap().to_str().unwrap());
            let faults = faults(&std::fs::read_to_string(&path).unwrap());
            if BEFORE_THE_RULE.contains(&name.as_str()) {
                assert_eq!(faults.len(), 1, "{name}: {faults:?}");
            } else {
                assert!(
                    faults.is_empty(),
                    "{name} breaks the release before it, to which a deploy may have to go back: {faults:#?}\n\
                     expand now and contract in a later release, and then say above the statement since when nothing \
                     uses it: `-- {MARK}0.3` (CONTRIBUTING.md)"
                );
            }
            seen += 1;
        }
    }
    assert!(seen >= 7, "{seen} migrations");
}

#[test]
fn what_takes_away_is_recognised_and_what_adds_is_not() {
    for breaks in [
        "drop table decks;",
        "ALTER TABLE passengers\n  DROP COLUMN words;",
        "alter table passengers rename column words to terms",
        "alter table passengers rename to people",
        "alter table \"passengers\" alter column age set not null",
        "alter table passengers alter column age type real",
        "alter table passengers add column deck text not null",
        "alter table passengers add column a text, add column deck text not null, add column b text",
        "alter table passengers add constraint grown check (age > 18)",
        "create unique index one_name on passengers (name);",
        "drop trigger passengers_words_added",
        "-- contract: soon\nalter table passengers drop column words",
        "-- contract: since 99.0\nalter table passengers drop column words",
        "-- contract: since 0.1\nalter table passengers drop column words; drop table decks",
    ] {
        assert_eq!(faults(breaks).len(), 1, "{breaks}: {:?}", statements(breaks));
    }
    for adds in [
        "create table decks (name text primary key not null); create unique index one on decks (name);",
        "alter table passengers add column deck text; create index by_deck on passengers (deck)",
        "alter table passengers add column deck text not null default 'drop table'",
        "alter table passengers add column old boolean not null generated always as (age > 60) stored",
        "drop index passengers_by_words",
        "-- we will drop the table later; not now\nselect 1",
        "create function f() returns trigger language plpgsql as $$ begin drop table x; end $$;",
        "-- contract: since 0.1\nalter table passengers drop column words",
        "alter table passengers\n  -- contract: since 0.1.0\n  drop column words",
    ] {
        assert_eq!(faults(adds), Vec::<String>::new(), "{adds}");
    }
}
