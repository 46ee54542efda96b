//! A page per Terraform module: its inputs and outputs as they are declared, and an example, which is what its tests run with.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::tree::Tree;

/// A `variable` or an `output`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Declared {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Declared {
    fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }

    /// Returns an attribute as a cell of a table.
    fn cell(&self, attribute: &str) -> String {
        let value = self.get(attribute).unwrap_or_default().trim_matches('"');
        value.replace("\\\"", "\"").replace('|', "\\|")
    }
}

/// Compares the page of every module with what its files declare. With `UPDATE_EXPECT` set it writes the pages.
pub fn check(tree: &Tree) -> Result<String> {
    let modules: BTreeSet<PathBuf> = tree
        .files_in("terraform/modules", &["/variables.tf"])
        .filter_map(Path::parent)
        .map(Path::to_owned)
        .collect();
    if modules.is_empty() {
        bail!("terraform/modules holds no module");
    }
    let mut stale = Vec::new();
    for module in &modules {
        let (file, page) = (module.join("README.md"), page(tree, module)?);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let path = programs::workspace::root().join(&file);
            fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
        } else if tree.read(&file).ok().as_deref() != Some(page.as_str()) {
            stale.push(file.display().to_string());
        }
    }
    if !stale.is_empty() {
        bail!(
            "{} not what the module declares: `UPDATE_EXPECT=1 cargo nextest run -p conformance terraform_pages` writes it",
            stale.join(", ")
        );
    }
    Ok(format!("{} pages", modules.len()))
}

fn page(tree: &Tree, module: &Path) -> Result<String> {
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    let inputs = declared(&tree.read(&module.join("variables.tf"))?, "variable");
    let outputs =
        tree.read(&module.join("outputs.tf")).map(|text| declared(&text, "output")).unwrap_or_default();
    let head = tree.read(&module.join("main.tf"))?;
    let said: Vec<&str> = head.lines().map_while(|line| line.strip_prefix("# ")).collect();
    let mut page = format!("<!-- Made from the files of this folder. Do not edit. -->\n# `{name}`\n");
    if !said.is_empty() {
        let _ = write!(page, "\n{}\n", said.join("\n"));
    }
    page.push_str("\n## Inputs\n\n| name | type | default | |\n|---|---|---|---|\n");
    for input in &inputs {
        let default =
            input.get("default").map_or("required".to_owned(), |_| format!("`{}`", input.cell("default")));
        let (kind, about) = (input.cell("type"), input.cell("description"));
        let _ = writeln!(page, "| `{}` | `{kind}` | {default} | {about} |", input.name);
    }
    if !outputs.is_empty() {
        page.push_str("\n## Outputs\n\n| name | |\n|---|---|\n");
        for output in &outputs {
            let _ = writeln!(page, "| `{}` | {} |", output.name, output.cell("description"));
        }
    }
    if let Some(values) = example(tree, module)? {
        let _ = write!(
            page,
            "\n## Example\n\nThe tests of the module run with these values.\n\n```hcl\nmodule \"{name}\" {{\n  \
             source = \"../modules/{name}\"\n\n{values}}}\n```\n"
        );
    }
    Ok(page)
}

/// Returns the values that the tests of a module share.
fn example(tree: &Tree, module: &Path) -> Result<Option<String>> {
    let tests = module.join("tests").display().to_string();
    let Some(file) = tree.files_in(&tests, &[".tftest.hcl"]).next() else {
        return Ok(None);
    };
    let text = tree.read(file)?;
    let inside =
        text.lines().skip_while(|line| *line != "variables {").skip(1).take_while(|line| *line != "}");
    let values: String = inside.map(|line| format!("{line}\n")).collect();
    Ok(Some(values).filter(|values| !values.is_empty()))
}

/// Returns the blocks of a kind, in the order of the file, with the attributes of their first level.
fn declared(text: &str, kind: &str) -> Vec<Declared> {
    let (mut all, mut block): (Vec<Declared>, Option<Declared>) = (Vec::new(), None);
    let mut open = 0_i32;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(&format!("{kind} \"")).and_then(|rest| rest.split('"').next()) {
            block = Some(Declared { name: name.to_owned(), ..Declared::default() });
            open = 0;
            continue;
        }
        let Some(current) = &mut block else { continue };
        if line == "}" {
            all.extend(block.take());
            continue;
        }
        let begins = line.strip_prefix("  ").filter(|rest| open == 0 && !rest.starts_with(' '));
        match begins.map(|rest| rest.split_once('=').unwrap_or((rest, ""))) {
            // a block of its own, such as `validation {`, has a name alone
            Some((name, value)) => {
                current.attributes.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            None if open > 0 => {
                if let Some((_, value)) = current.attributes.last_mut() {
                    let rest = line.split_whitespace().collect::<Vec<_>>().join(" ");
                    let follows = value.ends_with(['{', '(', '[', ',']) || rest.starts_with(['}', ')', ']']);
                    let _ = write!(value, "{} {rest}", if follows { "" } else { "," });
                }
            }
            None => {}
        }
        let count = |brackets: [char; 3]| line.chars().filter(|c| brackets.contains(c)).count() as i32;
        open += count(['{', '(', '[']) - count(['}', ')', ']']);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_several_lines_are_one_and_nested_ones_are_left_out() {
        let text = "variable \"size\" {\n  description = \"How large: a|b.\"\n  type = object({\n    cpu    = number\n    \
                    memory = optional(number, 5)\n  })\n\n  validation {\n    condition     = var.size.cpu > 0\n    \
                    error_message = \"More.\"\n  }\n}\n\nvariable \"name\" {\n  type    = string\n  default = null\n}\n";
        let found = declared(text, "variable");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].get("type"), Some("object({ cpu = number, memory = optional(number, 5) })"));
        assert_eq!(found[0].cell("description"), "How large: a\\|b.");
        assert_eq!(found[0].get("condition"), None);
        assert_eq!((found[1].get("default"), found[1].get("description")), (Some("null"), None));
        assert_eq!(declared(text, "output"), []);
    }
}
