//! The reference of all settings: printed by `--help`, and a table of the README.

use clap::{Arg, CommandFactory as _};

use super::Config;

/// One environment variable.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name. A secret can also be read from the file that `<name>_FILE` names.
    pub name: String,
    /// Its default, empty where there is none.
    pub default: String,
    /// Its meaning.
    pub about: String,
    /// True for a secret.
    pub is_secret: bool,
}

/// Returns every setting in the order of the reference.
#[must_use]
pub fn reference() -> Vec<Setting> {
    let setting = |arg: &Arg| Setting {
        name: arg.get_long().unwrap_or_default().to_owned(),
        default: default_of(arg),
        about: arg.get_help().map(|about| format!("{about}.")).unwrap_or_default(),
        is_secret: arg.is_hide_env_values_set(),
    };
    Config::command().get_arguments().map(setting).collect()
}

fn default_of(arg: &Arg) -> String {
    let shown = arg.get_default_values().iter().filter(|_| !arg.is_hide_default_value_set());
    shown.map(|value| value.to_string_lossy()).collect()
}

/// Returns the reference as text for a terminal.
#[must_use]
pub fn text() -> String {
    let line = |Setting { name, default, about, is_secret }: Setting| {
        let file = if is_secret { " (or in a file: _FILE)" } else { "" };
        let default = if default.is_empty() { default } else { format!(" [{default}]") };
        format!("  {name}{default}{file}\n      {about}\n")
    };
    reference().into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the README.
    fn markdown() -> String {
        let row = |Setting { name, default, about, is_secret }: Setting| {
            let file = if is_secret { format!(", `{name}_FILE`") } else { String::new() };
            let default = if default.is_empty() { default } else { format!("`{default}`") };
            format!("| `{name}`{file} | {default} | {about} |\n")
        };
        let rows: String = reference().into_iter().map(row).collect();
        format!("| variable | default | meaning |\n|---|---|---|\n{rows}")
    }

    #[test]
    fn the_readme_has_the_reference() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&markdown()), "replace the table of service/README.md with:\n{}", markdown());
    }
}
