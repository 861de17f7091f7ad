//! Text for people and documents for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::OnceLock;

use rl_train::{Evaluation, shown};
use serde::Serialize;
use serde_json::{Value, json};

static PROGRAM: OnceLock<&'static str> = OnceLock::new();
static COMMAND: OnceLock<String> = OnceLock::new();

/// Notes the program's name; the first one counts.
pub(crate) fn set_program(name: &str) {
    PROGRAM.get_or_init(|| Box::leak(name.to_owned().into_boxed_str()));
}

/// What the program calls itself.
pub(crate) fn program() -> &'static str {
    PROGRAM.get().copied().unwrap_or("rl")
}

/// Notes the command line, without the program's name; the first one counts.
pub(crate) fn set_command(arguments: &[std::ffi::OsString]) {
    COMMAND.get_or_init(|| {
        let words = arguments.iter().map(|word| crate::config_file::in_shell(&word.to_string_lossy()));
        words.collect::<Vec<_>>().join(" ")
    });
}

/// The command line as a shell takes it.
pub(crate) fn command() -> String {
    format!("{} {}", program(), COMMAND.get().map_or("", String::as_str))
}

/// Writes to stdout; a reader that left early is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes one JSON document to stdout.
pub(crate) fn print_json(document: &impl Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(document)? + "\n"))
}

/// Writes what people read: to stdout, or to stderr where stdout carries a document.
pub(crate) fn tell(text: &str, json: bool) -> anyhow::Result<()> {
    if json {
        eprint!("{text}");
        return Ok(());
    }
    print(text)
}

/// An evaluation as people read it.
pub(crate) fn evaluation(e: &Evaluation) -> String {
    let largest = e.max.abs().max(e.min.abs());
    let [mean, std, min, max] = [e.mean, e.std, e.min, e.max].map(|x| shown(x, largest));
    let metrics = metrics(&e.metrics);
    let left = match e.left {
        0 => String::new(),
        left => format!(" ({left} left without an end)"),
    };
    format!("{} episodes{left}: {mean} ± {std}, from {min} to {max}{metrics}", e.episodes)
}

/// An evaluation as `--json` prints it.
pub(crate) fn evaluation_json(e: &Evaluation) -> Value {
    let mut document =
        json!({"episodes": e.episodes, "mean": e.mean, "std": e.std, "min": e.min, "max": e.max});
    if e.left > 0 {
        document["left"] = json!(e.left);
    }
    if !e.metrics.is_empty() {
        document["metrics"] = json!(e.metrics);
    }
    document
}

/// What an environment measures, behind something else.
pub(crate) fn metrics(means: &BTreeMap<String, f64>) -> String {
    means.iter().map(|(name, mean)| format!(", {name} {}", shown(*mean, *mean))).collect()
}

/// Rows as lines, columns aligned to the left with two spaces between.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The columns that text for people has: as many as the variable `COLUMNS` says, else as the terminal has, else 100.
pub(crate) fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    told.or_else(terminal).filter(|columns| *columns > 0).unwrap_or(100).max(40)
}

/// A text as lines of at most this width, all of them indented; a word that is longer has a line of its own.
pub(crate) fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| format!("{:indent$}{line}\n", "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_wider_than_asked() {
        assert_eq!(
            wrapped("one two ±three  unbreakable x", 2, 11),
            "  one two\n  ±three\n  unbreakable\n  x\n"
        );
        assert_eq!(wrapped("", 2, 11), "");
    }

    #[test]
    fn columns_are_aligned() {
        let rows =
            [vec!["a".into(), "±b".into(), "c".into()], vec!["long".into(), "b".into(), String::new()]];
        assert_eq!(table(&rows), "a     ±b  c\nlong  b\n");
    }
}
