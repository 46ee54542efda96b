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

const MUTATIONS: &[Mutation] = &[
    Mutation {
        mistake: "an action by its tag",
        file: ".github/workflows/commits.yml",
        change: Change::Replace(
            "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
            "actions/checkout@v7",
        ),
        caught_by: Check::Workflows,
        naming: "`actions/checkout@v7` in the job `conventional` is not pinned",
    },
    Mutation {
        mistake: "an action inside an action by its tag",
        file: ".github/actions/rust/action.yml",
        change: Change::Replace("@6323deb102c322ba6fcbdcafc7e3dddab59af2b6 # v2.9.2", "@v2"),
        caught_by: Check::Workflows,
        naming: "unpinned-uses",
    },
    Mutation {
        mistake: "a workflow that may do everything",
        file: ".github/workflows/deliver.yml",
        change: Change::Replace("permissions: {}\n", ""),
        caught_by: Check::Workflows,
        naming: "`permissions: {}` is missing",
    },
    Mutation {
        mistake: "a job without permissions of its own",
        file: ".github/workflows/build.yml",
        change: Change::Replace("    permissions:\n      contents: read\n", ""),
        caught_by: Check::Workflows,
        naming: "the job `image` does not say its `permissions`",
    },
    Mutation {
        mistake: "a pull request's title inside a script",
        file: ".github/workflows/commits.yml",
        change: Change::Replace("\"$TITLE\"", "\"${{ github.event.pull_request.title }}\""),
        caught_by: Check::Workflows,
        naming: "github.event.pull_request.title",
    },
    Mutation {
        mistake: "a checkout that leaves its credentials",
        file: ".github/workflows/terraform.yml",
        change: Change::Replace(
            "          persist-credentials: false\n",
            "          persist-credentials: true\n",
        ),
        caught_by: Check::Workflows,
        naming: "does not say `persist-credentials: false`",
    },
    Mutation {
        mistake: "an output nobody writes",
        file: ".github/workflows/deploy.yml",
        change: Change::Replace("steps.canary.outputs.url", "steps.first-share.outputs.url"),
        caught_by: Check::Workflows,
        naming: "first-share",
    },
    Mutation {
        mistake: "a word that the shell splits",
        file: ".github/scripts/smoke.sh",
        change: Change::Replace("readonly url=${1:?usage: smoke.sh URL}", "url=$1; ls $url"),
        caught_by: Check::Shell,
        naming: "SC2086",
    },
];

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
