//! The pages of this repository use only verbs and flags that exist, according to `--help`.

use std::collections::BTreeMap;

use super::fences::{Call, calls};
use super::support::run_to_end;

/// Syntax of a verb, from `--help`.
#[derive(Debug, Default)]
struct Help {
    verbs: Vec<String>,
    /// Flags in both spellings, and whether a value follows.
    flags: BTreeMap<String, bool>,
    /// Flags without which the verb refuses.
    needed_flags: Vec<String>,
    /// The number of further words that the verb needs, and accepts.
    needed_words: usize,
    most_words: usize,
}

impl Help {
    fn of(path: &[String]) -> Self {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["-h"]).collect();
        let output = run_to_end(&words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        Self::read(&String::from_utf8(output.stdout).unwrap())
    }

    fn read(text: &str) -> Self {
        let (mut help, mut section) = (Self::default(), "");
        for line in text.lines() {
            if let Some(usage) = line.strip_prefix("Usage: ") {
                help.read_usage(usage);
            } else if !line.starts_with(' ') {
                section = line.trim_end_matches(':');
            } else if section == "Commands" {
                // descriptions are wrapped, names are not
                let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
                help.verbs.extend(name.and_then(|rest| rest.split(' ').next()).map(str::to_owned));
            } else if section == "Options" && line.trim_start().starts_with('-') {
                let spelled = line.trim_start().split("  ").next().unwrap_or_default();
                let takes_value = spelled.contains('<');
                let names = spelled.split([' ', ',']).filter(|word| word.starts_with('-'));
                help.flags.extend(names.map(|name| (name.to_owned(), takes_value)));
            }
        }
        help
    }

    /// `lookout gate check [OPTIONS] --service <SERVICE>`. A choice, `<--a|--b <B>>`, is left to the program.
    fn read_usage(&mut self, usage: &str) {
        let usage = without_choices(usage);
        let mut words = usage.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if word.starts_with("--") {
                self.needed_flags.push(word.to_owned());
                words.next_if(|value| value.starts_with('<'));
            } else if word != "[OPTIONS]" && word.starts_with(['<', '[']) {
                self.needed_words += usize::from(word.starts_with('<'));
                self.most_words =
                    if word.ends_with("...") { usize::MAX } else { self.most_words.saturating_add(1) };
            }
        }
    }
}

fn without_choices(usage: &str) -> String {
    let Some(start) = usage.find("<--") else { return usage.to_owned() };
    let mut depth = 0;
    let ends = |c: char| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        c == '>' && depth == 0
    };
    let end = usage[start..].find(ends).map_or(usage.len(), |end| start + end + 1);
    without_choices(&format!("{}{}", &usage[..start], &usage[end..]))
}

/// Help of every verb, each read once.
#[derive(Default)]
struct Manual(BTreeMap<Vec<String>, Help>);

impl Manual {
    /// Returns the fault of a call.
    fn mistake(&mut self, call: &Call) -> Option<String> {
        let (mut path, mut others, mut given) = (Vec::new(), 0, Vec::new());
        let mut words = call.words.iter();
        while let Some(word) = words.next() {
            let help = self.0.entry(path.clone()).or_insert_with(|| Help::of(&path));
            let verb = path.iter().fold(String::from("lookout"), |verb, word| format!("{verb} {word}"));
            if word == "--" {
                others += words.by_ref().count();
            } else if word.starts_with('-') && word != "-" {
                let name = word.split('=').next().unwrap_or_default();
                let Some(takes_value) = help.flags.get(name) else {
                    return Some(format!("`{verb}` has no flag `{name}`"));
                };
                if *takes_value && !word.contains('=') && words.next().is_none() {
                    return Some(format!("`{name}` needs a value"));
                }
                given.push(name.to_owned());
            } else if help.verbs.is_empty() {
                others += 1;
            } else if help.verbs.contains(word) {
                path.push(word.clone());
            } else {
                return Some(format!("`{verb}` has no verb `{word}`; it has {}", help.verbs.join(", ")));
            }
        }
        if given.iter().any(|flag| matches!(flag.as_str(), "--help" | "-h" | "--version" | "-V")) {
            return None;
        }
        let help = self.0.entry(path.clone()).or_insert_with(|| Help::of(&path));
        let verb = path.iter().fold(String::from("lookout"), |verb, word| format!("{verb} {word}"));
        if !help.verbs.is_empty() {
            return Some(format!("`{verb}` needs a verb: {}", help.verbs.join(", ")));
        }
        if let Some(flag) = help.needed_flags.iter().find(|flag| !given.contains(flag)) {
            return Some(format!("`{verb}` needs `{flag}`"));
        }
        let (least, most) = (help.needed_words, help.most_words);
        let fits = (least..=most).contains(&others);
        (!fits).then(|| format!("`{verb}` takes {least} to {most} words, not {others}"))
    }
}

#[test]
fn every_command_in_the_pages_is_one_that_this_program_knows() {
    let (calls, mut manual) = (calls("lookout"), Manual::default());
    assert!(calls.len() > 30, "the pages call the program {} times", calls.len());
    let wrong = calls.iter().filter_map(|call| Some(format!("{call}: {}", manual.mistake(call)?)));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_verb_a_flag_or_a_word_that_does_not_exist_is_found() {
    let mistake = |line: &str| {
        let words = line.split_whitespace().map(str::to_owned).collect();
        Manual::default().mistake(&Call::at("here", words))
    };
    for (line, says) in [
        ("status --jsn", "`lookout status` has no flag `--jsn`"),
        ("gate chek --service a", "`lookout gate` has no verb `chek`; it has check, help"),
        ("gate", "`lookout gate` needs a verb: check, help"),
        ("gate check --class fix", "`lookout gate check` needs `--service`"),
        ("gate check --service", "`--service` needs a value"),
        ("status now", "`lookout status` takes 0 to 0 words, not 1"),
        ("probe", "`lookout probe` takes 1 to 1 words, not 0"),
    ] {
        assert_eq!(mistake(line).as_deref(), Some(says), "{line}");
    }
    for line in [
        "--version",
        "import sloth a b c --out=d",
        "correction add --all --reason x --last 5m",
        "backtest --csv counts.csv a.yaml",
        "run -c lookout.yaml --log json",
    ] {
        assert_eq!(mistake(line), None, "{line}");
    }
}
