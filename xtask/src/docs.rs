//! That every command in the documentation can be typed: README.md and the pages below `docs` are gone through, and what their blocks marked
//! `sh` say is run, every page in an empty directory of its own, so that a later command finds the runs that an earlier one made; two pages at once.
//!
//! Only the budgets are smaller ([`within_budget`]). A block that cannot be run here is preceded by a comment that says why,
//! `<!-- not run: WHY -->`.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::gymnasium;
use crate::metadata::Workspace;

/// How a block says that it is not run.
const NOT_RUN: &str = "<!-- not run: ";
/// Pages that are gone through at once, so each command that trains has one thread.
const AT_ONCE: usize = 2;
/// The slowest commands that are named.
const SLOWEST: usize = 8;
/// Steps of a training run, and of one whose updates the page looks at: as many as the last of them needs. A run that goes on has twice as many.
const STEPS: f64 = 4_096.0;
const STEPS_INSPECTED: f64 = 30_000.0;
/// The most that each option may ask for, and whether a command gets that which does not have the option.
type Limits = Vec<(&'static str, f64, bool)>;

/// What became of the commands.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    run: usize,
    skipped: usize,
    excluded: usize,
    /// Commands of other programs, such as pip.
    others: usize,
    /// What is wrong with those that fail.
    failures: Vec<String>,
    /// How long each took, with its place.
    took: Vec<(Duration, String)>,
}

/// A page, and where its commands run.
struct Page<'a> {
    name: String,
    text: String,
    runner: Runner<'a>,
}

/// Runs the commands of every page with the programs of the workspace, which must have been built. Without a Python that has Gymnasium, those
/// that need one are skipped.
pub(crate) fn run(workspace: &Workspace, python: Option<&Path>) -> Result<()> {
    let place = workspace.target.join("docs-commands");
    let mut open = Vec::new();
    for (i, page) in pages(&workspace.root)?.iter().enumerate() {
        let text = fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
        let name = page.strip_prefix(&workspace.root).unwrap_or(page).display().to_string();
        let dir = place.join(i.to_string());
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        for (file, module) in modules(&text) {
            fs::write(dir.join(file), module).with_context(|| format!("cannot write {file} of {name}"))?;
        }
        let runner = Runner { programs: workspace.target.join("release"), dir, python };
        open.push(Page { name, text, runner });
    }
    let counts = check_all(open)?;
    let Counts { run, skipped, excluded, others, failures, mut took } = counts;
    ensure!(run > 0, "the documentation has no command");
    took.sort_by_key(|(time, _)| Reverse(*time));
    for (time, command) in took.iter().take(SLOWEST) {
        println!("{:5.1} s  {command}", time.as_secs_f64());
    }
    println!(
        "{run} commands run, {skipped} skipped, {excluded} excluded by a comment; {others} of other programs"
    );
    let failed = failures.len();
    ensure!(failed == 0, "{failed} commands of the documentation fail:\n{}", failures.join("\n"));
    Ok(())
}

/// Goes through the pages, several at once, those with the most commands first: what they do to files is apart.
fn check_all(mut pages: Vec<Page<'_>>) -> Result<Counts> {
    pages.sort_by_key(|page| commands(&page.text).map_or(0, |lines| lines.len()));
    let (open, done) = (Mutex::new(pages), Mutex::new(Ok(Counts::default())));
    let work = || {
        loop {
            let Some(page) = open.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return };
            let mut counts = Counts::default();
            let checked = check_page(&page.name, &page.text, &page.runner, &mut counts);
            let mut all = done.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *all, checked) {
                (Ok(all), Ok(())) => all.add(counts),
                (Ok(_), Err(error)) => *all = Err(error),
                (Err(_), _) => {}
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Counts {
    fn add(&mut self, other: Counts) {
        let Counts { run, skipped, excluded, others, failures, took } = other;
        self.run += run;
        self.skipped += skipped;
        self.excluded += excluded;
        self.others += others;
        self.failures.extend(failures);
        self.took.extend(took);
    }
}

/// The same as a command of its own.
pub(crate) fn run_with_gymnasium() -> Result<()> {
    let workspace = Workspace::load()?;
    let python = gymnasium::interpreter(&workspace)?;
    run(&workspace, python.as_deref())
}

/// README.md and every page below `docs`, in order.
fn pages(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (vec![root.join("README.md")], vec![root.join("docs")]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

struct Runner<'a> {
    programs: PathBuf,
    dir: PathBuf,
    python: Option<&'a Path>,
}

fn check_page(page: &str, all: &str, runner: &Runner<'_>, counts: &mut Counts) -> Result<()> {
    for Line { number, text, excluded } in commands(all).with_context(|| page.to_owned())? {
        let Some(words) = ours(&text) else {
            counts.others += 1;
            continue;
        };
        if let Some(why) = excluded {
            println!("{page}:{number}: not run, {why}: {text}");
            counts.excluded += 1;
            continue;
        }
        let of_gymnasium = words.iter().any(|word| word.contains("gym"));
        if of_gymnasium && runner.python.is_none() {
            println!("{page}:{number}: skipped without Gymnasium: {text}");
            counts.skipped += 1;
            continue;
        }
        if words[0] == "rl" && words.get(1).is_some_and(|word| word == "tensorboard") {
            println!("{page}:{number}: skipped, TensorBoard would wait for its reader: {text}");
            counts.skipped += 1;
            continue;
        }
        let begun = Instant::now();
        let steps = if is_inspected(all, &words) { STEPS_INSPECTED } else { STEPS };
        if let Err(error) = runner.run(&within_budget(words, steps)) {
            counts.failures.push(format!("{page}:{number}: `{text}`: {error:#}"));
        }
        counts.took.push((begun.elapsed(), format!("{page}:{number}: {text}")));
        counts.run += 1;
    }
    Ok(())
}

/// A command in a page.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    number: usize,
    text: String,
    /// Why it is not run.
    excluded: Option<String>,
}

/// The lines of the blocks marked `sh`, without comments.
fn commands(page: &str) -> Result<Vec<Line>> {
    let (mut found, mut block, mut reason) = (Vec::new(), None::<bool>, None::<String>);
    for (i, line) in page.lines().enumerate() {
        match (block, line.trim()) {
            (None, fence) if fence.starts_with("```") => block = Some(fence == "```sh"),
            (None, "") => {}
            (None, text) => {
                reason = match text.strip_prefix(NOT_RUN) {
                    Some(rest) => Some(
                        rest.strip_suffix(" -->")
                            .filter(|why| !why.trim().is_empty())
                            .with_context(|| format!("line {}: expected `{NOT_RUN}WHY -->`", i + 1))?
                            .to_owned(),
                    ),
                    None => None,
                };
            }
            (Some(_), "```") => (block, reason) = (None, None),
            (Some(true), text) => {
                let command = text.split(" # ").next().unwrap_or(text).trim();
                if !command.is_empty() && !command.starts_with('#') {
                    found.push(Line { number: i + 1, text: command.to_owned(), excluded: reason.clone() });
                }
            }
            (Some(false), _) => {}
        }
    }
    ensure!(block.is_none(), "a block does not end");
    Ok(found)
}

/// The modules of Python that a page shows: the blocks marked `python` before which a line names a file `….py`, with that name.
fn modules(page: &str) -> Vec<(&str, String)> {
    let (mut found, mut name) = (Vec::new(), None);
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == "```python" {
            let block = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n"));
            let block: String = block.collect();
            found.extend(name.take().map(|name| (name, block)));
        } else if !line.is_empty() {
            name = line.split('`').find(|part| part.ends_with(".py") && !part.contains('/'));
        }
    }
    found
}

/// The words of a command of this workspace, with the program first; nothing for any other command.
fn ours(command: &str) -> Option<Vec<String>> {
    let words = |first: &str, rest: &str| {
        Some(std::iter::once(first.to_owned()).chain(split(rest)).collect::<Vec<_>>())
    };
    if let Some(rest) = command.strip_prefix("cargo run --release -p examples --example ") {
        let (name, rest) = rest.split_once(" -- ").unwrap_or((rest, ""));
        return words(&format!("examples/{name}"), rest);
    }
    let rest = command.strip_prefix("cargo run --release -- ").or_else(|| command.strip_prefix("rl "))?;
    words("rl", rest)
}

/// The words of a command line. Between quotes a space is part of a word, as in a shell; there are no escapes.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Whether the page looks at an update of the run that a command trains: at `runs/ENV/ALGO/…`.
fn is_inspected(page: &str, words: &[String]) -> bool {
    let runs = page.lines().filter_map(|line| line.split_once(" inspect runs/")).map(|(_, path)| path);
    let mut parts = runs.filter_map(|path| {
        let mut parts = path.split('/');
        Some((parts.next()?, parts.next()?))
    });
    parts.any(|(env, algo)| {
        let is = |name: &str| words.iter().any(|word| word == name);
        (is(env) && is(algo)) || words.iter().any(|word| word.starts_with(&format!("runs/{env}/{algo}/")))
    })
}

/// The same command with numbers small enough for a test.
fn within_budget(mut words: Vec<String>, steps: f64) -> Vec<String> {
    let resumes = words.iter().any(|word| word == "--resume");
    let limits: Limits = match words.get(1).map(String::as_str) {
        Some("train") if resumes => vec![("--total-steps", 2.0 * steps, false), ("--threads", 1.0, true)],
        Some("train") => vec![("--total-steps", steps, true), ("--threads", 1.0, true)],
        // Finished runs are only read.
        Some("compare") if !words.iter().any(|word| word == "--runs") => {
            vec![
                ("--total-steps", STEPS, true),
                // Environments in Python take most of the time.
                ("--seeds", if words.iter().any(|word| word.contains("gym:")) { 1.0 } else { 3.0 }, true),
                ("--max-seeds", 5.0, false),
                ("--threads", 1.0, true),
            ]
        }
        Some("play") => vec![("--max-steps", 100.0, true)],
        _ => Vec::new(),
    };
    for (option, most, always) in limits {
        match words.iter().position(|word| word == option) {
            Some(at) => {
                let value = words.get(at + 1).and_then(|value| value.parse::<f64>().ok());
                if value.is_some_and(|value| value > most) {
                    words[at + 1] = most.to_string();
                }
            }
            // Options may not follow a redirection.
            // How many seeds there are is then what comes out.
            None if option == "--seeds" && words.iter().any(|word| word == "--until") => {}
            None if always => {
                words.splice(2..2, [option.to_owned(), most.to_string()]);
            }
            None => {}
        }
    }
    words
}

impl Runner<'_> {
    fn run(&self, words: &[String]) -> Result<()> {
        let program = format!("{}{}", words[0], std::env::consts::EXE_SUFFIX);
        let mut command = Command::new(self.programs.join(program));
        let (arguments, file) = match words.iter().position(|word| word == ">") {
            Some(at) => (&words[1..at], words.get(at + 1)),
            None => (&words[1..], None),
        };
        command.args(arguments).current_dir(&self.dir).stdin(Stdio::null());
        if let Some(python) = self.python {
            command.env("VIRTUAL_ENV", python.parent().and_then(Path::parent).unwrap_or(python));
        }
        let output = command.output().context("cannot start")?;
        // As of `diff`, 1 says that the two are not the same.
        let differ = arguments.first().is_some_and(|word| word == "diff")
            && output.status.code() == Some(1)
            && output.stderr.is_empty();
        if !output.status.success() && !differ {
            let shown = arguments.join(" ");
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("as `{} {shown}` it ends with {}:\n{}", words[0], output.status, why.trim_end());
        }
        if let Some(file) = file {
            fs::write(self.dir.join(file), output.stdout).with_context(|| format!("cannot write {file}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "Text.\n\n```sh\nrl train ppo CartPole-v1   # trains\n```\n\n<!-- not run: it takes a day -->\n```sh\nrl compare\npip install x\n```\n\n```text\nrl nothing\n```\n\n```sh\nrl runs\n```\n";

    #[test]
    fn commands_are_found_with_their_lines_and_reasons() {
        let line = |number, text: &str, why: Option<&str>| Line {
            number,
            text: text.to_owned(),
            excluded: why.map(str::to_owned),
        };
        let day = Some("it takes a day");
        let expected = [
            line(4, "rl train ppo CartPole-v1", None),
            line(9, "rl compare", day),
            line(10, "pip install x", day),
            line(18, "rl runs", None),
        ];
        assert_eq!(commands(PAGE).unwrap(), expected);
        assert!(commands("<!-- not run: -->\n```sh\nrl runs\n```\n").is_err());
        assert!(commands("<!-- not run:  -->\n```sh\nrl runs\n```\n").is_err());
        assert!(commands("```sh\nrl runs\n").is_err());
    }

    #[test]
    fn modules_are_those_with_a_name() {
        let page = "As `a.py` (`b/a.py`):\n\n```python\nx = 1\n\ny = 2\n```\n\nOr:\n\n```python\nz\n```\n";
        assert_eq!(modules(page), [("a.py", "x = 1\n\ny = 2\n".to_owned())]);
    }

    #[test]
    fn budgets_are_cut_and_nothing_else() {
        let cut = |command: &str| within_budget(ours(command).unwrap(), 30_000.0).join(" ");
        assert_eq!(cut("rl train ppo A --total-steps 1e7"), "rl train --threads 1 ppo A --total-steps 30000");
        assert_eq!(cut("rl train ppo A --total-steps 512"), "rl train --threads 1 ppo A --total-steps 512");
        assert_eq!(
            cut("cargo run --release -- train ppo A"),
            "rl train --threads 1 --total-steps 30000 ppo A"
        );
        assert_eq!(cut("rl train --resume runs/a"), "rl train --threads 1 --resume runs/a");
        assert_eq!(cut("rl compare --seeds 1000"), "rl compare --threads 1 --total-steps 4096 --seeds 3");
        assert_eq!(cut("rl compare --until 9"), "rl compare --threads 1 --total-steps 4096 --until 9");
        assert_eq!(cut("rl compare --runs a b"), "rl compare --runs a b");
        assert_eq!(cut("rl eval runs/a --episodes 100"), "rl eval runs/a --episodes 100");
        assert_eq!(
            cut("cargo run --release -p examples --example a -- train b"),
            "examples/a train --threads 1 --total-steps 30000 b"
        );
        assert_eq!(ours("cargo xtask ci"), None);
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(split("  a 'b c'd \"e'f\" ''"), ["a", "b cd", "e'f", ""]);
        let words = ours("rl train ppo A --set 'net_arch={ pi = [64] }'").unwrap();
        assert_eq!(words, ["rl", "train", "ppo", "A", "--set", "net_arch={ pi = [64] }"]);
    }

    /// An update that is looked at must be reached.
    #[test]
    fn what_is_inspected_trains_for_longer() {
        let page = "```sh\nrl train trpo A-v0 --seed 1\nrl inspect runs/A-v0/trpo/s1 --update 9\n```\n";
        let inspected = |command: &str| is_inspected(page, &ours(command).unwrap());
        assert!(inspected("rl train trpo A-v0 --seed 1"));
        assert!(inspected("rl train --resume runs/A-v0/trpo/s1"));
        assert!(!inspected("rl train ppo A-v0"));
        assert!(!inspected("rl train --resume runs/A-v0/ppo/s1"));
    }

    #[test]
    fn counts_of_all_pages_are_added() {
        let page = |name: &str, text: &str| Page {
            name: name.to_owned(),
            text: text.to_owned(),
            runner: Runner { programs: PathBuf::new(), dir: PathBuf::new(), python: None },
        };
        let (a, b) = ("```sh\npip install x\ncargo xtask ci\n```\n", "```sh\nmake\n```\n");
        assert_eq!(check_all(vec![page("a", a), page("b", b), page("c", "")]).unwrap().others, 3);
        let error = check_all(vec![page("a", a), page("b", "```sh\n")]).unwrap_err();
        assert!(format!("{error:#}").starts_with("b: "), "{error:#}");
    }

    /// The program stands for `rl`: it takes `train` and fails for the flag that is wrong.
    #[cfg(unix)]
    #[test]
    fn a_wrong_flag_is_named_with_its_page_and_line() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("rl-docs-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let program = dir.join("rl");
        let script =
            "#!/bin/sh\ncase \"$*\" in *--sed*) echo \"unexpected argument '--sed'\" >&2; exit 2;; esac\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let runner = Runner { programs: dir.clone(), dir: dir.clone(), python: None };
        let mut counts = Counts::default();
        check_page("docs/a.md", PAGE, &runner, &mut counts).unwrap();
        assert_eq!((counts.run, counts.excluded, counts.others, counts.took.len()), (2, 1, 1, 2));
        assert_eq!(counts.failures, Vec::<String>::new());
        check_page("docs/a.md", "```sh\nrl train ppo gym:A-v0\n```\n", &runner, &mut counts).unwrap();
        assert_eq!(counts.skipped, 1);
        check_page("docs/a.md", "```sh\nrl train ppo A --sed 1\n```\n", &runner, &mut counts).unwrap();
        let [message] = &counts.failures[..] else { panic!("{:?}", counts.failures) };
        assert!(message.starts_with("docs/a.md:2: `rl train ppo A --sed 1`: as `rl train"), "{message}");
        assert!(message.ends_with("unexpected argument '--sed'"), "{message}");
        fs::remove_dir_all(dir).unwrap();
    }
}
