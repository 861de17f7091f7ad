//! What a run leaves that depends on neither the clock nor on how often it was disturbed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rl_nn::Archive;
use rl_train::{Checkpoint, RunDir, Scalar, read_scalars};
use serde_json::Value;

/// What a run leaves.
pub(crate) struct Left {
    /// Names of its files, that of the event file without its time and process.
    files: Vec<String>,
    latest: Vec<u8>,
    best: Vec<u8>,
    config: String,
    /// `progress.csv` without the columns of time.
    progress: Vec<Vec<String>>,
    /// The event file's scalars without those of time.
    scalars: Vec<Scalar>,
    /// The newest checkpoint without where the logs stood and how often the run went on.
    checkpoint: Archive,
}

impl Left {
    pub(crate) fn by(run_dir: &Path) -> Result<Self> {
        let read = |name: &str| fs::read(run_dir.join(name)).with_context(|| format!("reading {name}"));
        let text = |name: &str| Ok::<_, anyhow::Error>(String::from_utf8(read(name)?)?);
        let status: Value = serde_json::from_slice(&read("summary.json")?)?;
        ensure!(status["status"] == "finished", "summary.json says {}", status["status"]);
        ensure!(status["warnings"].is_null(), "summary.json warns: {}", status["warnings"]);
        let mut files = Vec::new();
        list(run_dir, "", &mut files)?;
        let log = files.iter().find(|name| name.starts_with(EVENTS)).context("there is no event file")?;
        let mut scalars = read_scalars(&run_dir.join(log))?;
        scalars.retain(|scalar| !TIMES.contains(&scalar.tag.as_str()));
        let mut files: Vec<String> = files
            .into_iter()
            .map(|name| if name.starts_with(EVENTS) { EVENTS.to_owned() } else { name })
            .collect();
        files.sort();
        Ok(Left {
            files,
            latest: read("policy.safetensors")?,
            best: read("checkpoints/best/policy.safetensors")?,
            config: text("config.toml")?,
            progress: timeless(&text("progress.csv")?)?,
            scalars,
            checkpoint: newest(run_dir)?,
        })
    }

    /// Whether the other run left the same.
    pub(crate) fn check(&self, other: &Left) -> Result<()> {
        ensure!(self.files == other.files, "other files: {:?}, expected {:?}", self.files, other.files);
        ensure!(self.config == other.config, "another config.toml");
        ensure!(self.latest == other.latest, "another policy.safetensors");
        ensure!(self.best == other.best, "another checkpoints/best/policy.safetensors");
        let rows = (self.progress.len(), other.progress.len());
        ensure!(rows.0 == rows.1, "{} lines in progress.csv, expected {}", rows.0, rows.1);
        for (row, expected) in self.progress.iter().zip(&other.progress) {
            ensure!(row == expected, "the line {row:?} in progress.csv, expected {expected:?}");
        }
        let events = (self.scalars.len(), other.scalars.len());
        ensure!(events.0 == events.1, "{} scalars in the event file, expected {}", events.0, events.1);
        for (scalar, expected) in self.scalars.iter().zip(&other.scalars) {
            let same = (scalar.step, &scalar.tag, scalar.value.to_bits())
                == (expected.step, &expected.tag, expected.value.to_bits());
            ensure!(same, "the scalar {scalar:?} in the event file, expected {expected:?}");
        }
        ensure!(
            self.checkpoint.about == other.checkpoint.about,
            "another description of the newest checkpoint"
        );
        // As bytes, for a NaN is not equal to itself.
        ensure!(self.checkpoint.to_bytes()? == other.checkpoint.to_bytes()?, "another newest checkpoint");
        Ok(())
    }
}

const EVENTS: &str = "events.out.tfevents.";
const TIMES: [&str; 2] = ["time/fps", "time/time_elapsed"];

fn list(dir: &Path, below: &str, files: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}

fn timeless(csv: &str) -> Result<Vec<Vec<String>>> {
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let header = rows.first().context("progress.csv is empty")?;
    let columns: Vec<usize> = (0..header.len()).filter(|&i| !TIMES.contains(&header[i])).collect();
    ensure!(rows.iter().all(|row| row.len() == header.len()), "progress.csv has lines of several lengths");
    Ok(rows.iter().map(|row| columns.iter().map(|&i| row[i].to_owned()).collect()).collect())
}

fn newest(run_dir: &Path) -> Result<Archive> {
    let (_, path): (u64, PathBuf) =
        Checkpoint::list(&RunDir::open(run_dir)?)?.pop().context("there is no checkpoint")?;
    let whole = Archive::from_bytes(&fs::read(&path)?)?;
    let mut archive = Archive::default();
    let about = whole.about.iter().filter(|(key, _)| !key.starts_with("sinks") && *key != "resumes");
    archive.about.extend(about.map(|(key, value)| (key.clone(), value.clone())));
    for name in whole.names().filter(|name| !name.starts_with("sinks")) {
        let array = whole.get(name)?;
        archive.insert(name, &array.shape, array.data.clone());
    }
    Ok(archive)
}
