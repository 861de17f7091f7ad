//! Files whose checksum is right and whose contents are not: written by a program that means harm, or one with a fault. Whatever they say, they are
//! refused, or what they say is used as it stands; nothing panics.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::helpers::small_run::{finished, only};
use rl_env::{Action, ActionsRef, EnvError, EnvRng, Registry, VecEnv, VecEnvState};
use rl_nn::{Archive, Data};
use rl_train::{Csv, Policy, TensorBoard, TrainError};
use serde_json::{Value, json};

/// What stands in the place of every value.
fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(-1),
        json!(0),
        json!(1u64 << 40),
        json!(u64::MAX),
        json!(1e308),
        json!(true),
        json!(""),
        json!([]),
        json!([[[[[0]]]]]),
        json!({"kind": "mlp", "sizes": [1, 1 << 20, 1 << 20]}),
    ]
}

/// The pointers (RFC 6901) of everything within a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        // The first few of many alike.
        Value::Array(list) => {
            list.iter().take(3).enumerate().map(|(i, value)| (i.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in inner {
        let pointer = format!("{at}/{key}");
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

/// Archives in which one thing is another than it was, with what.
fn variants(archive: &Archive, below: &str) -> Vec<(String, Archive)> {
    let about = Value::Object(archive.about.clone());
    let mut found = Vec::new();
    pointers(&about, "", &mut found);
    let mut variants = Vec::new();
    for pointer in found.iter().filter(|pointer| pointer.starts_with(below)) {
        for value in values() {
            let mut about = about.clone();
            *about.pointer_mut(pointer).unwrap() = value.clone();
            let Value::Object(about) = about else { unreachable!("it was an object") };
            let mut other = archive.clone();
            other.about = about;
            variants.push((format!("{pointer} = {value}"), other));
        }
    }
    let prefix = below.trim_start_matches('/');
    for name in archive.names().filter(|name| name.starts_with(prefix)) {
        let n = archive.get(name).unwrap().data.len();
        for (what, shape, data) in [
            ("empty", vec![0], Data::F32(Vec::new())),
            ("one longer", vec![n + 1], Data::F32(vec![0.5; n + 1])),
            ("flat", vec![n], Data::F32(vec![0.5; n])),
            ("doubles", vec![n], Data::F64(vec![0.5; n])),
            ("bytes", vec![n], Data::U8(vec![1; n])),
            ("NaN", vec![n], Data::F32(vec![f32::NAN; n])),
            ("infinite", vec![n], Data::F64(vec![f64::INFINITY; n])),
            ("negative", vec![n], Data::F64(vec![-1e300; n])),
            ("of many dimensions", [vec![1; 40], vec![n]].concat(), Data::F32(vec![0.0; n])),
        ] {
            let mut other = archive.clone();
            other.insert(name, &shape, data);
            variants.push((format!("{name} {what}"), other));
        }
    }
    variants
}

/// Calls it and says what a panic says.
fn without_panic<T>(what: &str, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panic!("{what}: a panic"))
}

#[test]
fn a_checkpoint_may_say_anything() {
    let out = tempfile::tempdir().unwrap();
    for env in ["CartPole-v1", "Pendulum-v1"] {
        let dir = finished(out.path(), env, 2);
        let path = only(&dir);
        let mut archive = Archive::from_bytes(&fs::read(&path).unwrap()).unwrap();
        archive.about["sinks"]["parts"] = json!([]);
        let (mut refused, mut used) = (0, 0);
        for (what, variant) in variants(&archive, "/") {
            fs::write(&path, variant.to_bytes().unwrap()).unwrap();
            // One update more; nothing is saved.
            let resume = || crate::helpers::small_run::bare(env, 3).resumed_from(&dir);
            match without_panic(&what, resume) {
                Ok(mut trainer) => {
                    used += 1;
                    let ended = without_panic(&what, || trainer.run());
                    let is_panic = |error: &TrainError| matches!(error, TrainError::Panic(_));
                    let within = |error: &TrainError| match error {
                        TrainError::At { source, .. } => is_panic(source),
                        error => is_panic(error),
                    };
                    assert!(!ended.as_ref().is_err_and(within), "{what}: {}", ended.unwrap_err());
                }
                Err(error) => {
                    refused += 1;
                    let message = error.to_string();
                    assert!(message.starts_with(&*path.display().to_string()), "{what}: {message}");
                }
            }
        }
        assert!(refused > 500 && used > 10, "{env}: {refused} refused, {used} used");
    }
}

/// What a checkpoint says of logs.
#[test]
fn a_checkpoint_may_say_anything_of_logs() {
    let out = tempfile::tempdir().unwrap();
    let dir = finished(out.path(), "CartPole-v1", 2);
    let path = only(&dir);
    let logs: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_log = |path: &&std::path::PathBuf| {
        path.to_string_lossy().contains("tfevents") || path.ends_with("progress.csv")
    };
    let logs: Vec<_> = logs.iter().filter(is_log).map(|path| (path, fs::read(path).unwrap())).collect();
    assert_eq!(logs.len(), 2);
    let archive = Archive::from_bytes(&fs::read(&path).unwrap()).unwrap();
    for (what, variant) in variants(&archive, "/sinks") {
        fs::write(&path, variant.to_bytes().unwrap()).unwrap();
        let resume = || {
            let logs =
                (TensorBoard::append(dir.path()).unwrap(), Csv::append(&dir.file("progress.csv")).unwrap());
            crate::helpers::small_run::bare("CartPole-v1", 3)
                .with_sink(logs.0)
                .with_sink(logs.1)
                .resumed_from(&dir)
        };
        if let Ok(mut trainer) = without_panic(&what, resume) {
            // It may end with an error: columns that are not this run's.
            let _ = without_panic(&what, || trainer.run());
        }
        for (path, bytes) in &logs {
            assert!(fs::metadata(path).unwrap().len() < bytes.len() as u64 + (1 << 20), "{what}");
            fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn a_policy_may_say_anything() {
    let out = tempfile::tempdir().unwrap();
    for (env, n_obs) in [("CartPole-v1", 4), ("Pendulum-v1", 3)] {
        let dir = finished(out.path(), env, 1);
        let path = dir.file("policy.safetensors");
        let archive = Archive::from_bytes(&fs::read(&path).unwrap()).unwrap();
        let (mut refused, mut used) = (0, 0);
        for (what, variant) in variants(&archive, "/") {
            fs::write(&path, variant.to_bytes().unwrap()).unwrap();
            match without_panic(&what, || Policy::load(&path)) {
                Ok(mut policy) => {
                    used += 1;
                    for deterministic in [true, false] {
                        // It may not be finite, or be one of other observations.
                        let _ = without_panic(&what, || policy.act(&vec![0.1; n_obs], deterministic));
                    }
                }
                Err(error) => {
                    refused += 1;
                    let message = error.to_string();
                    assert!(message.starts_with(&*path.display().to_string()), "{what}: {message}");
                }
            }
        }
        assert!(refused > 100 && used > 10, "{env}: {refused} refused, {used} used");
    }
}

/// Headers that promise other arrays than follow.
#[test]
fn an_archive_may_promise_anything() {
    let (k, m) = (1u64 << 40, u64::MAX);
    for arrays in [
        format!(r#""w":{{"dtype":"F32","shape":[{k}],"data_offsets":[0,4]}}"#),
        format!(r#""w":{{"dtype":"F32","shape":[{k},{k},{k}],"data_offsets":[0,4]}}"#),
        format!(r#""w":{{"dtype":"F32","shape":[{m},{m},0],"data_offsets":[0,4]}}"#),
        format!(r#""w":{{"dtype":"F32","shape":[1],"data_offsets":[0,{k}]}}"#),
        format!(r#""w":{{"dtype":"F32","shape":[1],"data_offsets":[{m},4]}}"#),
        format!(r#""w":{{"dtype":"F32","shape":[1],"data_offsets":[4,{m}]}}"#),
        r#""w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}"#.to_owned(),
        r#""w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#.to_owned(),
        r#""w":{"dtype":"F64","shape":[1],"data_offsets":[0,4]}"#.to_owned(),
        r#""w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}"#.to_owned(),
        r#""v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#.to_owned(),
        r#""w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#.to_owned(),
    ] {
        let bytes = sealed(&arrays, &[0; 4]);
        assert!(without_panic(&arrays, || Archive::from_bytes(&bytes)).is_err(), "{arrays}");
    }
    let whole = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    assert!(Archive::from_bytes(&sealed(whole, &[0; 4])).is_ok());
}

/// A file with these arrays in its header, and a checksum that is right.
fn sealed(arrays: &str, data: &[u8]) -> Vec<u8> {
    let blank = br#"\"checksum\":\"00000000"#;
    let mut header = format!(r#"{{"__metadata__":{{"rl":"{{\"checksum\":\"00000000\"}}"}},{arrays}}}"#);
    header.extend(std::iter::repeat_n(' ', (8 - header.len() % 8) % 8));
    let mut file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    // CRC-32, bit by bit.
    let crc = file.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 },
        )
    });
    let at = file.windows(blank.len()).position(|window| window == blank).unwrap() + blank.len() - 8;
    file[at..at + 8].copy_from_slice(format!("{:08x}", !crc).as_bytes());
    file
}

/// What a checkpoint says of environments: they refuse it, or go on from it.
#[test]
fn a_state_of_environments_may_say_anything() {
    for spec in Registry::builtin().iter() {
        let id = &spec.id;
        let mut envs = spec.make_vec(2).unwrap();
        envs.reset(3, "env").unwrap();
        let state = envs.save().unwrap_or_else(|| panic!("{id} saves its state"));
        let whole = serde_json::to_value(&state).unwrap();
        let mut found = Vec::new();
        pointers(&whole, "", &mut found);
        for pointer in found {
            for value in values() {
                let mut other = whole.clone();
                *other.pointer_mut(&pointer).unwrap() = value.clone();
                let what = format!("{id}, {pointer} = {value}");
                let Ok(state) = serde_json::from_value::<VecEnvState>(other) else { continue };
                let mut envs = spec.make_vec(2).unwrap();
                envs.reset(3, "env").unwrap();
                without_panic(&what, || {
                    if envs.restore(&state).is_err() {
                        return;
                    }
                    let mut rng: EnvRng = rl_env::rng::stream(1, "action", 0);
                    // A step may be refused, by an environment that notices only then.
                    let _ = (0..20).try_for_each(|_| step(&mut *envs, &mut rng));
                });
            }
        }
    }
}

/// A step with any actions that are allowed.
fn step(envs: &mut dyn VecEnv, rng: &mut EnvRng) -> Result<(), EnvError> {
    let space = envs.action_space().clone();
    let width = space.mask_len();
    let (mut discrete, mut continuous) = (Vec::new(), Vec::new());
    for i in 0..envs.n_envs() {
        let action = match envs.action_masks() {
            Some(masks) => space.sample_allowed(&masks[i * width..(i + 1) * width], rng)?,
            None => space.sample(rng),
        };
        match action {
            Action::Discrete(a) => discrete.extend(a),
            Action::Continuous(a) => continuous.extend(a),
        }
    }
    envs.step(if continuous.is_empty() {
        ActionsRef::Discrete(&discrete)
    } else {
        ActionsRef::Continuous(&continuous)
    })
}
