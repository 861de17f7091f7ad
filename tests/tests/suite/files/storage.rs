//! Disks that are full, read-only or gone, and many runs in one place: what can be kept is kept, and what is lost is said.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::helpers::command_line::{Place, SHORT, result};
use crate::helpers::small_run::{ROLLOUT, bare, newest, trainer, with_logs};
use rl_train::{
    Checkpoint, Csv, Event, Policy, RunDir, Sink, SinkError, Status, Summary, TensorBoard, read_scalars,
};

/// Does something to the disk after an update.
struct At<F>(u64, F);

impl<F: FnMut() + Send> Sink for At<F> {
    fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
        if matches!(event, Event::Update(update) if update.iteration == self.0) {
            (self.1)();
        }
        Ok(())
    }
}

/// A small disk of one's own, which is there until it is dropped.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// `None`, with a line that says so, where the system does not allow it.
    fn new(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "rl-test"]).arg(dir.path());
        if mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(Disk { dir });
        }
        eprintln!("skipped: a disk of a test's own needs `mount` and the right to use it (root)");
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        assert!(mount.args(["-o", "remount,ro"]).arg(self.path()).status().unwrap().success());
    }

    /// Writes into a file until no byte fits any more.
    fn fill(path: &Path) {
        let mut file = File::create(path).unwrap();
        let mut block = vec![1; 4096];
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn event_file(dir: &RunDir) -> PathBuf {
    let paths = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    paths.into_iter().find(|path| path.to_string_lossy().contains("tfevents")).unwrap()
}

fn summary_in(dir: &RunDir) -> Summary {
    serde_json::from_slice(&fs::read(dir.file("summary.json")).unwrap()).unwrap()
}

/// Whether there is exactly one warning that has all of the words.
fn warns(warnings: &[String], words: &[&str]) -> bool {
    warnings.iter().filter(|warning| words.iter().all(|word| warning.contains(word))).count() == 1
}

/// The disk is full from the second update to the thirtieth: no log, checkpoint or policy can be written, then policies and checkpoints again. The run
/// says so, and ends as the undisturbed one does.
#[test]
fn a_run_outlasts_a_full_disk() {
    let Some(disk) = Disk::new(8 << 20) else { return };
    let dir = RunDir::create(disk.path(), "CartPole-v1", "ppo", 7).unwrap();
    let full = disk.path().join("full");
    let (fills, frees) = (full.clone(), full);
    let run = with_logs(trainer("CartPole-v1", 34, &dir), &dir)
        .with_sink(At(2, move || Disk::fill(&fills)))
        .with_sink(At(30, move || fs::remove_file(&frees).unwrap()))
        .run();
    let summary = run.unwrap();
    assert_eq!((summary.status, summary.updates), (Status::Finished, 34));
    let warnings = &summary.warnings;
    let no_space = "No space left on device";
    assert!(warns(warnings, &["log", "progress.csv", no_space]), "{warnings:?}");
    assert!(warns(warnings, &["log", "tfevents", no_space]), "{warnings:?}");
    assert!(warns(warnings, &["a checkpoint could not", "step 64,", no_space]), "{warnings:?}");
    assert!(warns(warnings, &["policy could not", "step 64,", no_space]), "{warnings:?}");
    assert_eq!(&summary_in(&dir).warnings, warnings);

    // What it learned is what it learns undisturbed.
    let other = tempfile::tempdir().unwrap();
    let undisturbed = RunDir::create(other.path(), "CartPole-v1", "ppo", 7).unwrap();
    trainer("CartPole-v1", 34, &undisturbed).run().unwrap();
    let policy = |dir: &RunDir| fs::read(dir.file("policy.safetensors")).unwrap();
    assert_eq!(policy(&dir), policy(&undisturbed));
    let steps: Vec<u64> = Checkpoint::list(&dir).unwrap().into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [33 * ROLLOUT, 34 * ROLLOUT]);
    let leftovers = crate::helpers::command_line::files(dir.path());
    assert!(!leftovers.iter().any(|path| path.extension().is_some_and(|e| e == "tmp")), "{leftovers:?}");

    // The logs go on where they ended when the run does: a gap, and nothing torn.
    let (tensorboard, csv) =
        (TensorBoard::append(dir.path()).unwrap(), Csv::append(&dir.file("progress.csv")).unwrap());
    let resumed = trainer("CartPole-v1", 36, &dir).with_sink(tensorboard).with_sink(csv).resumed_from(&dir);
    let summary = resumed.unwrap().run().unwrap();
    assert_eq!(&summary.warnings, warnings, "what was lost before is still said");
    let table = fs::read_to_string(dir.file("progress.csv")).unwrap();
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let column = header.iter().position(|column| *column == "time/total_timesteps").unwrap();
    let steps: Vec<u64> = rows.map(|row| row[column].parse::<u64>().unwrap() / ROLLOUT).collect();
    assert!(steps.starts_with(&[1]) && steps.ends_with(&[35, 36]) && steps.is_sorted(), "{steps:?}");
    assert!(!steps.contains(&20), "{steps:?}");
    let scalars = read_scalars(&event_file(&dir)).unwrap();
    assert_eq!(scalars.last().unwrap().step, 36 * ROLLOUT as i64);
}

/// A disk that is full when the run ends: it does not end well, and its last checkpoint is as it was.
#[test]
fn a_final_policy_that_cannot_be_saved_is_an_error() {
    let Some(disk) = Disk::new(8 << 20) else { return };
    let dir = RunDir::create(disk.path(), "CartPole-v1", "ppo", 7).unwrap();
    let full = disk.path().join("full");
    let run =
        with_logs(trainer("CartPole-v1", 4, &dir), &dir).with_sink(At(3, move || Disk::fill(&full))).run();
    let error = run.unwrap_err().to_string();
    assert!(error.contains("policy.safetensors") && error.contains("No space left"), "{error}");
    assert_eq!(Policy::load(dir.path()).unwrap().steps(), 2 * ROLLOUT);
    assert_eq!(Checkpoint::read(&newest(&dir)).unwrap().step(), 2 * ROLLOUT);
    // With room again it goes on from there.
    fs::remove_file(disk.path().join("full")).unwrap();
    let (tensorboard, csv) =
        (TensorBoard::append(dir.path()).unwrap(), Csv::append(&dir.file("progress.csv")).unwrap());
    let resumed = trainer("CartPole-v1", 4, &dir).with_sink(tensorboard).with_sink(csv).resumed_from(&dir);
    assert_eq!(resumed.unwrap().run().unwrap().total_steps, 4 * ROLLOUT);
    assert_eq!(Policy::load(dir.path()).unwrap().steps(), 4 * ROLLOUT);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let Some(disk) = Disk::new(1 << 20) else { return };
    let place = Place::new();
    // Without schedules, which would keep the horizon they began with.
    let run_dir = place.train("ppo", "CartPole-v1", &[SHORT, &["--preset", "sb3"]].concat());
    let (name, seed) = (run_dir.file_name().unwrap(), disk.path().join("s0"));
    fs::create_dir(&seed).unwrap();
    fs::copy(run_dir.join("config.toml"), seed.join("config.toml")).unwrap();
    assert_eq!(name, "s0");
    disk.make_read_only();
    let out = disk.path().display().to_string();
    let train = [&["train", "ppo", "CartPole-v1", "--out", &out], SHORT].concat();
    for args in [&train[..], &["train", "--resume", &seed.display().to_string()]] {
        let output = place.run(args);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(&out) && message.contains("Read-only file system"), "{message}");
    }
}

/// Somebody removes the run's directory: what comes after is kept, and what went is said.
#[cfg(unix)]
#[test]
fn a_run_outlasts_its_directory() {
    let out = tempfile::tempdir().unwrap();
    let dir = RunDir::create(out.path(), "CartPole-v1", "ppo", 7).unwrap();
    let path = dir.path().to_owned();
    let run = with_logs(trainer("CartPole-v1", 6, &dir), &dir)
        .with_sink(At(3, move || fs::remove_dir_all(&path).unwrap()))
        .run();
    let summary = run.unwrap();
    let removed = "removed while the run went on";
    assert!(warns(&summary.warnings, &["progress.csv", removed]), "{:?}", summary.warnings);
    assert!(warns(&summary.warnings, &["tfevents", removed]), "{:?}", summary.warnings);
    assert_eq!(summary_in(&dir).warnings, summary.warnings);
    assert_eq!(Policy::load(dir.path()).unwrap().steps(), 6 * ROLLOUT);
    assert_eq!(Checkpoint::read(&newest(&dir)).unwrap().step(), 6 * ROLLOUT);
}

/// Somebody removes the logs of a run that then goes on, twice: new ones begin there, the policy is that of the undisturbed run, and the summary says so.
#[test]
fn a_run_goes_on_without_its_logs() {
    let place = Place::new();
    let run_dir = place.train("ppo", "CartPole-v1", &[SHORT, &["--preset", "sb3"]].concat());
    let remove_logs = || {
        for entry in fs::read_dir(&run_dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name == "progress.csv" || name.starts_with("events.out.tfevents.") {
                fs::remove_file(path).unwrap();
            }
        }
    };
    for (steps, removes) in [("4096", true), ("6144", false), ("8192", true)] {
        if removes {
            remove_logs();
        }
        let resume = ["train", "--quiet", "--resume", run_dir.to_str().unwrap(), "--total-steps", steps];
        let output = place.run(&resume);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let long: Vec<&str> = SHORT.iter().map(|word| if *word == "2048" { "8192" } else { word }).collect();
    let other = Place::new();
    let whole = other.train("ppo", "CartPole-v1", &[&long[..], &["--preset", "sb3"]].concat());
    assert!(result(&run_dir).1 == result(&whole).1, "another policy");
    let warnings = summary_in(&RunDir::open(&run_dir).unwrap()).warnings;
    for log in ["progress.csv", "event file"] {
        assert!(warns(&warnings, &[log, "was gone when the run went on"]), "{warnings:?}");
    }
    let table = fs::read_to_string(run_dir.join("progress.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 4, "a header and the four updates since:\n{table}");
}

/// A sink of a user's own is not a log: its failure ends the run.
#[test]
fn only_logs_may_fail() {
    struct Torn(bool);
    impl Sink for Torn {
        fn event(&mut self, event: Event<'_>) -> Result<(), SinkError> {
            match event {
                Event::Update(update) if update.iteration == 2 => Err(SinkError::Io {
                    path: "the tape".into(),
                    source: std::io::ErrorKind::BrokenPipe.into(),
                }),
                _ => Ok(()),
            }
        }
        fn is_vital(&self) -> bool {
            self.0
        }
    }
    let error = bare("CartPole-v1", 3).with_sink(Torn(true)).run().unwrap_err().to_string();
    assert!(error.contains("cannot write the tape"), "{error}");
    let summary = bare("CartPole-v1", 3).with_sink(Torn(false)).run().unwrap();
    assert!(warns(&summary.warnings, &["the tape"]) && summary.updates == 3, "{:?}", summary.warnings);
}

/// The same run eight times in the same second: eight directories, none of which has anything of another's.
#[test]
fn runs_of_one_name_do_not_meet() {
    let place = Place::new();
    let start = |_| {
        let mut train =
            place.command(&[&["train", "ppo", "CartPole-v1", "--quiet", "--threads", "1"], SHORT].concat());
        train.stdout(Stdio::null()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..8).map(start).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let parent = place.path().join("runs/CartPole-v1/ppo");
    let mut names: Vec<_> = fs::read_dir(&parent)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["s0", "s0-2", "s0-3", "s0-4", "s0-5", "s0-6", "s0-7", "s0-8"]);
    let expected = result(&parent.join("s0"));
    for name in names {
        assert!(result(&parent.join(&name)) == expected, "{name}");
        let logs = fs::read_dir(parent.join(&name)).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(logs.filter(|path| path.to_string_lossy().contains("tfevents")).count(), 1, "{name}");
    }
}

/// Four processes that go on with one run: one does, the others are told.
#[cfg(unix)]
#[test]
fn a_run_goes_on_once_at_a_time() {
    let place = Place::new();
    // Without schedules, which would keep the horizon they began with.
    let run_dir = place.train("ppo", "CartPole-v1", &[SHORT, &["--preset", "sb3"]].concat());
    let args = ["train", "--quiet", "--resume", run_dir.to_str().unwrap(), "--total-steps", "8192"];
    let start = |_| {
        let mut train = place.command(&args);
        train.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..4).map(start).collect();
    let mut n_went_on = 0;
    for process in processes {
        let ended = process.wait_with_output().unwrap();
        let message = String::from_utf8(ended.stderr).unwrap();
        match ended.status.success() {
            true => n_went_on += 1,
            false => assert!(message.contains("another process is at work on this run"), "{message}"),
        }
    }
    assert!(n_went_on > 0);
    let long: Vec<&str> = SHORT.iter().map(|word| if *word == "2048" { "8192" } else { word }).collect();
    let other = Place::new();
    let whole = other.train("ppo", "CartPole-v1", &[&long[..], &["--preset", "sb3"]].concat());
    assert!(result(&run_dir).1 == result(&whole).1, "another policy");
}

/// A table that somebody has changed keeps those of its rows that can be read, and the run goes on from its newest checkpoint. Every row of it is whole.
#[test]
fn a_table_that_was_changed_goes_on_with_the_rows_that_can_be_read() {
    let place = crate::helpers::command_line::Place::new();
    let short = ["--set", "n_steps=64", "--n-envs", "2", "--no-eval", "--quiet"];
    let whole = |text: &str| {
        let cells = |line: &str| line.split(',').count();
        let widths: Vec<usize> = text.lines().map(cells).collect();
        assert!(widths.iter().all(|n| *n == widths[0]), "{text}");
        let column =
            text.lines().next().unwrap().split(',').position(|c| c == "time/total_timesteps").unwrap();
        let step = |line: &str| line.split(',').nth(column).unwrap().parse::<u64>().unwrap();
        text.lines().skip(1).map(step).collect::<Vec<_>>()
    };
    type Change = (&'static str, fn(&str) -> String, &'static [u64]);
    let changes: [Change; 4] = [
        ("longer", |text| text.replace('\n', "\r\n"), &[128, 256, 384, 512, 640]),
        (
            "shorter",
            |text| {
                text.lines().filter(|line| !line.contains(",256,")).map(|line| format!("{line}\n")).collect()
            },
            &[128, 384, 512, 640],
        ),
        ("another", |_| "a,b,c\n1,2,3\n".to_owned(), &[512, 640]),
        ("torn", |text| text.replacen(",", ",,", 30), &[512, 640]),
    ];
    for (seed, (what, changed, steps)) in changes.into_iter().enumerate() {
        let seed = seed.to_string();
        let train = ["train", "ppo", "CartPole-v1", "--total-steps", "512", "--seed", &seed];
        place.run(&[&train[..], &short].concat());
        let run = format!("runs/CartPole-v1/ppo/s{seed}");
        let table = place.path().join(&run).join("progress.csv");
        let text = std::fs::read_to_string(&table).unwrap();
        assert_eq!(whole(&text), [128, 256, 384, 512], "{what}");
        std::fs::write(&table, changed(&text)).unwrap();
        let told = place.run(&["train", "--resume", &run, "--total-steps", "640", "--quiet"]);
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains("progress.csv had been changed") || what == "longer", "{what}: {told}");
        assert!(!told.contains("older checkpoint"), "{what}: {told}");
        let copy = std::fs::read_to_string(table.with_extension("csv.changed")).ok();
        assert!(copy.is_none_or(|copy| copy == changed(&text)), "{what}");
        let text = std::fs::read_to_string(&table).unwrap();
        assert_eq!(whole(&text), steps, "{what}: {text}");
    }
}
