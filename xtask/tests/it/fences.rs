//! Commands in the pages of this repository: what a reader would type. Each program holds those that call it against what
//! it knows itself; the tests of the agent and of the service include this file for that.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Pages and folders of pages that are read, from the root.
const PAGES: [&str; 9] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs",
    "docs/decisions",
    "runbooks",
    "runbooks/operations",
    "k8s/README.md",
    "terraform/README.md",
    "deploy/compose/README.md",
];

/// One call of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    place: String,
    /// The words after the program's name.
    pub(crate) words: Vec<String>,
}

impl Call {
    /// A call as if it stood there.
    pub(crate) fn at(place: impl Into<String>, words: Vec<String>) -> Self {
        Self { place: place.into(), words }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`", self.place, self.words.join(" "))
    }
}

/// Every call of a program in the pages. `program` may be of two words, like `cargo xtask`.
pub(crate) fn calls(program: &str) -> Vec<Call> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut pages: Vec<PathBuf> = PAGES.iter().flat_map(|page| markdown(&root.join(page))).collect();
    pages.sort();
    let of_page = |page: &PathBuf| {
        let name = page.strip_prefix(root).unwrap().display().to_string();
        calls_in(&name, &fs::read_to_string(page).unwrap(), program)
    };
    pages.iter().flat_map(of_page).collect()
}

fn markdown(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "md")).collect()
}

fn calls_in(page: &str, text: &str, program: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    for (line, command) in commands(text) {
        for part in parts(&command) {
            if let Some(words) = call(&part, program) {
                calls.push(Call::at(format!("{page}:{line}"), words));
            }
        }
    }
    calls
}

/// The commands of all fences marked `sh`, `bash` or `console`, each with the line on which it begins. In a console, what
/// has no prompt is output.
fn commands(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut fence): (Vec<(usize, String)>, Option<&str>) = (Vec::new(), None);
    let mut goes_on = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(mark) = line.strip_prefix("```") {
            (fence, goes_on) = (if fence.is_some() { None } else { Some(mark.trim()) }, false);
            continue;
        }
        let command = match fence {
            Some("sh" | "bash") => Some(line),
            Some("console") if goes_on => Some(line.trim_start_matches("> ")),
            Some("console") => line.strip_prefix("$ "),
            _ => None,
        };
        let Some(command) = command else { continue };
        let (command, more) = command.strip_suffix('\\').map_or((command, false), |start| (start, true));
        match found.last_mut().filter(|_| goes_on) {
            Some((_, before)) => before.push_str(command),
            None => found.push((number + 1, command.to_owned())),
        }
        goes_on = more;
    }
    found
}

/// The simple commands of a line as words: split where the shell begins another one, without redirections and comments.
fn parts(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';' | '(' | ')') => {
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
            }
            (None, ' ') => words.extend(word.take()),
            (None, '<' | '>') => {
                // the number of a file that is redirected is no word of the command
                word = word.filter(|text| text.parse::<u8>().is_err());
                words.extend(word.take());
                words.push(c.to_string());
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    all.push(words);
    all.iter().map(|words| without_redirections(words)).collect()
}

fn without_redirections(words: &[String]) -> Vec<String> {
    let is_redirection = |word: &String| matches!(word.as_str(), "<" | ">");
    let follows =
        |at: usize| at.checked_sub(1).and_then(|before| words.get(before)).is_some_and(is_redirection);
    let kept = words.iter().enumerate().filter(|(at, word)| !is_redirection(word) && !follows(*at));
    kept.map(|(_, word)| word.clone()).collect()
}

/// Returns the words after the program, if this command runs it: by its name, by its path in a container, or as entry point of
/// the service that compose runs.
fn call(words: &[String], program: &str) -> Option<Vec<String>> {
    let names: Vec<&str> = program.split(' ').collect();
    let in_image = format!("/{program}");
    let begins = words.iter().position(|word| !word.contains('=') && word != "sudo" && word != "nice")?;
    let after = |at: usize| words.get(at..).map(<[String]>::to_vec);
    if words.get(begins..)?.iter().zip(&names).filter(|(word, name)| word == name).count() == names.len() {
        return after(begins + names.len());
    }
    if let Some(at) = words.iter().position(|word| *word == in_image) {
        return after(at + 1);
    }
    let is_run = words.iter().take(3).map(String::as_str).eq(["docker", "compose", "run"]);
    let at = words.iter().position(|word| is_run && word == program)?;
    after(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, program: &str) -> Vec<String> {
        calls_in("page.md", text, program).iter().map(Call::to_string).collect()
    }

    #[test]
    fn what_a_reader_would_type_is_found_with_its_line() {
        let page = "```console\n$ lookout run \\\n>   -c a.yaml   # the agent\nlookout is no command here\n```\n\n\
                    ```sh\nFOO=1 lookout check . || lookout status > out 2>&1\n```\n\n```yaml\nlookout gate\n```\n";
        assert_eq!(
            found(page, "lookout"),
            ["page.md:2: `run -c a.yaml`", "page.md:8: `check .`", "page.md:8: `status`"]
        );
    }

    #[test]
    fn programs_in_containers_are_found_and_objects_of_their_name_are_not() {
        let page = "  ```sh\n  kubectl -n x exec lookout-0 -- /lookout status --json\n  \
                    kubectl rollout restart statefulset/lookout\n  kubectl scale lookout\n  \
                    docker compose run --rm lookout status\n  docker compose restart lookout\n  ```\n";
        assert_eq!(found(page, "lookout"), ["page.md:2: `status --json`", "page.md:5: `status`"]);
        let page = "```sh\n( cargo xtask drill rollback )\ncargo build\necho \"cargo xtask | no\"\n```\n";
        assert_eq!(found(page, "cargo xtask"), ["page.md:2: `drill rollback`"]);
    }
}
