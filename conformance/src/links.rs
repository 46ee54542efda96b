//! Links between the pages of the repository: files that exist, headings that exist.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::tree::Tree;

/// Anchors and links of one page.
#[derive(Debug, Default)]
struct Page {
    /// The anchors of its headings, as GitHub makes them.
    anchors: Vec<String>,
    /// Targets of links and images, with their lines.
    targets: Vec<(usize, String)>,
}

/// Follows every relative link of every Markdown page.
pub fn check(tree: &Tree) -> Result<String> {
    let mut pages = BTreeMap::new();
    for file in tree.files_in("", &[".md"]) {
        pages.insert(file.to_owned(), read(&tree.read(file)?));
    }
    let mut broken = Vec::new();
    let mut followed = 0;
    for (file, page) in &pages {
        let ours = |target: &str| is_ours(target) && !is_of_the_agent(file, target);
        for (line, target) in page.targets.iter().filter(|(_, target)| ours(target)) {
            followed += 1;
            if let Err(why) = follow(tree, &pages, file, target) {
                broken.push(format!("{}:{line}: `{target}` {why}", file.display()));
            }
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(format!("{followed} links in {} pages", pages.len()))
}

/// Not an address somewhere else.
fn is_ours(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:")
}

/// A link of a runbook to a page of the agent, which shows runbooks under `/runbooks/`. Tests of the agents follow it.
fn is_of_the_agent(file: &Path, target: &str) -> bool {
    let page = target.strip_prefix("../");
    file.starts_with("runbooks")
        && page.is_some_and(|page| ["", "readyz"].contains(&page) || page.starts_with("slos/"))
}

fn read(text: &str) -> Page {
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    for (event, span) in
        Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES).into_offset_iter()
    {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap_or_default());
                let same = page.anchors.iter().filter(|known| **known == anchor).count();
                page.anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let before = text.get(..span.start).unwrap_or_default();
                page.targets.push((before.matches('\n').count() + 1, dest_url.into_string()));
            }
            _ => {}
        }
    }
    page
}

/// Lower case, spaces to hyphens, nothing but letters, digits, hyphens and underscores.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

fn follow(tree: &Tree, pages: &BTreeMap<PathBuf, Page>, from: &Path, target: &str) -> Result<(), String> {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file =
        if path.is_empty() { from.to_owned() } else { beside(from, path).ok_or("leaves the repository")? };
    if !tree.root().join(&file).exists() {
        return Err("does not exist".to_owned());
    }
    let Some(anchor) = anchor else { return Ok(()) };
    match pages.get(&file) {
        Some(page) if page.anchors.iter().any(|known| known == anchor) => Ok(()),
        Some(_) => Err(format!("has no heading of the anchor `{anchor}`")),
        // a line of a source file, say
        None => Ok(()),
    }
}

/// A path relative to the folder of a file, as one from the root.
fn beside(from: &Path, path: &str) -> Option<PathBuf> {
    let start = if path.starts_with('/') { Path::new("") } else { from.parent()? };
    let mut whole = start.to_owned();
    for part in Path::new(path.trim_start_matches('/')).components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::ParentDir if whole.parent().is_some() => {
                whole.pop();
            }
            Component::ParentDir => return None,
            _ => {}
        }
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_become_the_anchors_that_github_makes() {
        let page = read("# What is `lookout`?\n\n## Set-up: 5 minutes\n\n## Again\n\n## Again\n");
        assert_eq!(page.anchors, ["what-is-lookout", "set-up-5-minutes", "again", "again-1"]);
    }

    #[test]
    fn links_know_their_lines_and_code_has_none() {
        let page = read("one\n\n[a](b.md#c) and ![d](e.svg)\n\n```text\n[no](link)\n```\n");
        assert_eq!(page.targets, [(3, "b.md#c".to_owned()), (3, "e.svg".to_owned())]);
    }

    #[test]
    fn paths_are_taken_from_the_page_they_stand_in() {
        let from = Path::new("docs/a/page.md");
        assert_eq!(beside(from, "../b.md"), Some(PathBuf::from("docs/b.md")));
        assert_eq!(beside(from, "/README.md"), Some(PathBuf::from("README.md")));
        assert_eq!(beside(from, "../../../etc/passwd"), None);
    }
}
