//! `/runbooks/{name}`: the runbook of an alert beside the state of its SLOs. Only names of known alerts are looked up,
//! so that no name leads out of the folder. The text is split into blocks and escaped, never passed through as markup.

use std::path::Path as FilePath;

use lookout_engine::Status;

use askama::Template;
use axum::extract::{self, Path};
use axum::response::Response;
use http::StatusCode;
use tokio::io::AsyncReadExt as _;

use super::row::{SloRow, symbol};
use super::{Shell, not_found, page};
use crate::State;
use lookout_config::{OWN_ALERTS, Slo};

/// Largest runbook in bytes.
const LONGEST: u64 = 40 * 1024;

#[derive(Template)]
#[template(path = "runbook.html")]
struct View {
    shell: Shell,
    title: String,
    slos: Vec<SloRow>,
    blocks: Vec<Block>,
    cut: bool,
}

/// Block of a runbook, without markup.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    Heading(String),
    Subheading(String),
    Paragraph(String),
    Item(String),
    Code(String),
}

/// `GET /runbooks/{name}`
pub(crate) async fn show(extract::State(state): extract::State<State>, Path(name): Path<String>) -> Response {
    let snapshot = state.board.read();
    // an SLO has an alert for each cause, and each of them links here
    let affected: Vec<String> = state
        .config
        .slos
        .iter()
        .filter(|slo| slo.causes().any(|cause| slo.alert_name_for(cause) == name))
        .map(Slo::id)
        .collect();
    let known = !affected.is_empty() || OWN_ALERTS.contains(&name.as_str());
    let Some(alert) = Some(name).filter(|alert| known && is_plain(alert)) else {
        return not_found(&state, "No alert has that name, so there is no runbook for it.");
    };
    let Some(folder) = state.config.outputs.runbooks.as_deref() else {
        return not_found(
            &state,
            "No folder of runbooks is configured: set `generate.runbooks` in lookout.yaml.",
        );
    };
    let file = format!("{alert}.md");
    let text = match read(&folder.join(&file)).await {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(%error, runbook.file = file, "reading a runbook");
            let text = format!(
                "The runbook {file} cannot be read. `lookout generate` writes the head of every runbook."
            );
            return not_found(&state, text);
        }
    };
    let now = state.clock.now();
    let affected = snapshot.slos.iter().filter(|slo| affected.contains(&slo.id));
    let slos = affected.map(|slo| SloRow::new(slo, &state.config, snapshot.at, now)).collect();
    let mut shell = Shell::new(&state, "", format!("Runbook {alert}"));
    // A reader must not lose the place.
    shell.refresh = false;
    let cut = text.len() as u64 >= LONGEST;
    page(StatusCode::OK, &View { shell, title: alert, slos, blocks: blocks(&text), cut })
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

async fn read(path: &FilePath) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(LONGEST).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Splits Markdown into the blocks that runbooks need. Unknown syntax is shown as it is written.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut fence: Option<Vec<&str>> = None;
    let mut comment = false;
    let mut open = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(code) = &mut fence {
            if trimmed.starts_with("```") {
                blocks.push(Block::Code(code.join("\n")));
                fence = None;
            } else {
                code.push(line);
            }
            continue;
        }
        if comment || trimmed.starts_with("<!--") {
            comment = !trimmed.contains("-->");
            continue;
        }
        if trimmed.starts_with("```") {
            fence = Some(Vec::new());
            open = false;
            continue;
        }
        open = add_line(&mut blocks, line, trimmed, open);
    }
    if let Some(code) = fence {
        blocks.push(Block::Code(code.join("\n")));
    }
    blocks
}

/// Adds a line outside of code. Returns whether the next plain line continues the same block.
fn add_line(blocks: &mut Vec<Block>, line: &str, trimmed: &str, open: bool) -> bool {
    if trimmed.is_empty() {
        return false;
    }
    if trimmed.starts_with('|') || line.starts_with("    ") && !open {
        match blocks.last_mut() {
            Some(Block::Code(text)) if open => {
                text.push('\n');
                text.push_str(line);
            }
            _ => blocks.push(Block::Code(line.to_owned())),
        }
        return true;
    }
    let level = trimmed.bytes().take_while(|byte| *byte == b'#').count();
    if level > 0 && trimmed.as_bytes().get(level) == Some(&b' ') {
        let text = trimmed.trim_start_matches('#').trim().to_owned();
        // The page's own title is the first level.
        blocks.push(if level <= 2 { Block::Heading(text) } else { Block::Subheading(text) });
        return false;
    }
    let item = ["- ", "* ", "+ "].iter().find_map(|mark| trimmed.strip_prefix(mark));
    if let Some(text) = item.map(str::to_owned).or_else(|| numbered(trimmed)) {
        blocks.push(Block::Item(text));
        return true;
    }
    match blocks.last_mut() {
        Some(Block::Paragraph(text) | Block::Item(text)) if open => {
            text.push(' ');
            text.push_str(trimmed);
        }
        _ => blocks.push(Block::Paragraph(trimmed.to_owned())),
    }
    true
}

/// Returns a numbered line with its number: the order of steps matters.
fn numbered(line: &str) -> Option<String> {
    let (number, text) = line.split_once(". ")?;
    let counts = !number.is_empty() && number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    counts.then(|| format!("{number}. {text}"))
}

/// CSS classes of the line of an SLO, so that the template compares no words.
impl View {
    fn burns(&self) -> bool {
        self.slos.iter().any(|slo| [symbol(Status::Paging), symbol(Status::Ticket)].contains(&slo.symbol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_comes_apart_into_blocks_and_nothing_is_lost() {
        let text = "<!-- head\nby a program -->\n# Title\n\nFirst line\nsecond <b>line</b>.\n\n1. do this\n   and this\n- that\n\n\
                    ```sh\nkubectl get pods\n\n# not a heading\n```\n### Why\n| a | b |\n| 1 | 2 |\n";
        let own = |text: &str| text.to_owned();
        assert_eq!(
            blocks(text),
            [
                Block::Heading(own("Title")),
                Block::Paragraph(own("First line second <b>line</b>.")),
                Block::Item(own("1. do this and this")),
                Block::Item(own("that")),
                Block::Code(own("kubectl get pods\n\n# not a heading")),
                Block::Subheading(own("Why")),
                Block::Code(own("| a | b |\n| 1 | 2 |")),
            ]
        );
        assert_eq!(blocks("```\nunfinished"), [Block::Code(own("unfinished"))]);
    }

    #[test]
    fn only_plain_names_are_names() {
        assert!(is_plain("TitanicRequests"));
        for bad in ["", "..", "a/b", "a\\b", "a.md", "a\0"] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
