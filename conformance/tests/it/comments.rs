//! Doc comments begin with a noun phrase or a verb.

use conformance::tree::Tree;
use programs::workspace::root;

/// Words that begin a question or retell a text.
const QUESTIONS: [&str; 12] = [
    "What", "Who", "Whose", "How", "Where", "When", "Which", "Says", "Tells", "Whether", "Whatever",
    "Whoever",
];

/// Returns the lines of a file whose comment begins so, with their numbers.
fn questions(text: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let comment = |line: &&str| line.starts_with("///") || line.starts_with("//!");
    let begins = |at: usize| at == 0 || lines.get(at - 1).is_none_or(|before| !comment(before));
    let asks = |line: &str| {
        let first = line.get(3..).and_then(|rest| rest.split_whitespace().next());
        comment(&line) && first.is_some_and(|word| QUESTIONS.contains(&word))
    };
    let found = lines.iter().enumerate().filter(|(at, line)| begins(*at) && asks(line));
    found.map(|(at, line)| (at + 1, *line)).collect()
}

#[test]
fn doc_comments_begin_with_a_noun_or_a_verb() {
    let tree = Tree::copy_of(&root()).unwrap();
    let (mut wrong, mut files) = (Vec::new(), 0);
    for file in tree.files_in("", &[".rs"]) {
        let text = tree.read(file).unwrap();
        let at = |(line, comment)| format!("{}:{line}: {comment}", file.display());
        wrong.extend(questions(&text).into_iter().map(at));
        files += 1;
    }
    assert!(files > 500, "{files}");
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert_eq!(questions("/// What it is.\nfn a() {}\n/// A thing.\n/// What it is.\n").len(), 1);
}
