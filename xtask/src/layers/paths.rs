//! Which names of a crate's root a file reaches for.

use super::tokens::{Kind, Token};

/// A name directly below some root, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) name: String,
    pub(super) line: usize,
}

/// Names below `crate::`, written with `crate` or with enough `super`s. `depth` is how many modules deep the file lies.
pub(super) fn below_crate(tokens: &[Token], depth: usize) -> Vec<Reached> {
    let mut found = Vec::new();
    let mut inline = Vec::new();
    let mut braces = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Sign('{') => braces += 1,
            Kind::Sign('}') => {
                braces = braces.saturating_sub(1);
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
            }
            Kind::Word(word) if word == "mod" && is_sign(tokens, at + 2, '{') => inline.push(braces),
            // The first word of a path; the words inside were visited from there.
            Kind::Word(word) if !follows_separator(tokens, at) && is_separator(tokens, at + 1) => {
                match word.as_str() {
                    "crate" => walk(tokens, at + 2, 0, &mut found),
                    "super" => walk(tokens, at, depth + inline.len(), &mut found),
                    "self" => walk(tokens, at + 2, depth + inline.len(), &mut found),
                    _ => {}
                }
            }
            Kind::Word(_) | Kind::Separator | Kind::Sign(_) => {}
        }
    }
    found
}

/// Names directly below another crate: `std::time`, `std::{fs, net::TcpStream}`.
pub(super) fn below(tokens: &[Token], root: &str) -> Vec<Reached> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.word() == Some(root) && is_separator(tokens, at + 1) {
            walk(tokens, at + 2, 0, &mut found);
        }
    }
    found
}

/// Follows one use-tree. `above` modules lie between here and the root; at zero, the next name is what we look for.
fn walk(tokens: &[Token], at: usize, above: usize, found: &mut Vec<Reached>) {
    let Some(token) = tokens.get(at) else { return };
    match &token.kind {
        Kind::Word(word) if word == "super" && is_separator(tokens, at + 1) => {
            walk(tokens, at + 2, above.saturating_sub(1), found);
        }
        Kind::Word(word) if word == "self" && is_separator(tokens, at + 1) => {
            walk(tokens, at + 2, above, found)
        }
        Kind::Word(word) if above == 0 => found.push(Reached { name: word.clone(), line: token.line }),
        Kind::Sign('*') if above == 0 => found.push(Reached { name: "*".to_owned(), line: token.line }),
        Kind::Sign('{') => {
            branches(tokens, at).into_iter().for_each(|start| walk(tokens, start, above, found))
        }
        // A name below some module that is not the root: the same room, or a path we do not follow.
        Kind::Word(_) | Kind::Separator | Kind::Sign(_) => {}
    }
}

/// Where the branches of the group that opens at `at` begin.
fn branches(tokens: &[Token], at: usize) -> Vec<usize> {
    let (mut starts, mut depth) = (vec![at + 1], 0_usize);
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.kind {
            Kind::Sign('{') => depth += 1,
            Kind::Sign('}') if depth <= 1 => break,
            Kind::Sign('}') => depth -= 1,
            Kind::Sign(',') if depth == 1 => starts.push(place + 1),
            Kind::Word(_) | Kind::Separator | Kind::Sign(_) => {}
        }
    }
    starts
}

fn is_separator(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| token.kind == Kind::Separator)
}

fn follows_separator(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| is_separator(tokens, before))
}

fn is_sign(tokens: &[Token], at: usize, sign: char) -> bool {
    tokens.get(at).is_some_and(|token| token.kind == Kind::Sign(sign))
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn names(text: &str, depth: usize) -> Vec<String> {
        below_crate(&tokens(text), depth).into_iter().map(|reached| reached.name).collect()
    }

    #[test]
    fn plain_paths_groups_and_nested_groups() {
        let text = "use crate::web::Page;\nuse crate::{spec, ledger::{Ledger, sqlite::Db}, task::Tasks};";
        assert_eq!(names(text, 1), ["web", "spec", "ledger", "task"]);
    }

    #[test]
    fn a_path_in_an_expression_counts() {
        assert_eq!(names("fn f() { crate::cli::main(); }", 1), ["cli"]);
    }

    #[test]
    fn super_reaches_the_root_only_when_there_are_enough() {
        assert_eq!(names("use super::outcome::Reason;", 2), Vec::<String>::new());
        assert_eq!(names("use super::super::web::Page;", 2), ["web"]);
        assert_eq!(names("use super::{super::{web, gate::Policy}, slots};", 2), ["web", "gate"]);
    }

    #[test]
    fn an_inline_module_is_one_deeper() {
        assert_eq!(
            names("mod tests { use super::*; use super::super::web; } use super::gate;", 1),
            ["web", "gate"]
        );
    }

    #[test]
    fn the_line_is_where_the_name_stands() {
        let found = below_crate(&tokens("use crate::{\n    spec,\n    web,\n};"), 1);
        assert_eq!(found.last(), Some(&Reached { name: "web".to_owned(), line: 3 }));
    }
}
