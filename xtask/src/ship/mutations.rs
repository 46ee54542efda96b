//! Mistakes that people make, made on purpose in a copy of the tree: the check that should notice must fail, and must
//! name the thing.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::checks::Check;
use super::tree::Tree;

/// One mistake.
struct Mutation {
    /// What someone did.
    mistake: &'static str,
    /// Where.
    file: &'static str,
    /// What changes: text to be replaced once, and what replaces it.
    change: Change,
    /// Who must notice.
    caught_by: Check,
    /// A word of what it must say.
    naming: &'static str,
}

enum Change {
    Replace(&'static str, &'static str),
    Append(&'static str),
    Remove,
}

const MUTATIONS: &[Mutation] = &[];

/// Makes every mistake, one at a time, and prints who caught it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut survivors = 0;
    println!("{:<44} {:<12} {:<9} said", "mistake", "check", "result");
    for mutation in MUTATIONS {
        let mut tree = Tree::copy_of(root)?;
        mutation.make(&mut tree)?;
        let said = mutation.caught_by.run(&tree).err().map(|error| format!("{error:#}"));
        let caught =
            said.as_deref().and_then(|said| said.lines().find(|line| line.contains(mutation.naming)));
        let result = match (&said, caught) {
            (_, Some(_)) => "caught",
            (Some(_), None) => "UNCLEAR",
            (None, None) => "SURVIVED",
        };
        survivors += u32::from(caught.is_none());
        let line: String = caught.or(said.as_deref()).unwrap_or_default().trim().chars().take(96).collect();
        println!("{:<44} {:<12} {result:<9} {line}", mutation.mistake, mutation.caught_by.to_string());
    }
    if survivors > 0 {
        bail!("{survivors} of {} mistakes went unnoticed", MUTATIONS.len());
    }
    println!("all {} mistakes were caught", MUTATIONS.len());
    Ok(())
}

impl Mutation {
    fn make(&self, tree: &mut Tree) -> Result<()> {
        let stale = || format!("the mutation `{}` no longer fits {}", self.mistake, self.file);
        match self.change {
            Change::Remove => tree.remove(self.file).with_context(stale),
            Change::Append(text) => {
                let before = tree.read(Path::new(self.file)).unwrap_or_default();
                tree.write(self.file, &format!("{before}{text}"))
            }
            Change::Replace(from, to) => {
                let before = tree.read(Path::new(self.file)).with_context(stale)?;
                if !before.contains(from) {
                    bail!("{}: it does not hold `{from}`", stale());
                }
                tree.write(self.file, &before.replacen(from, to, 1))
            }
        }
    }
}
