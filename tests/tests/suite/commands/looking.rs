//! Looking at environments and policies: `rl check-env` and `rl play`.

use std::fs;

use crate::helpers::command_line::Place;
use serde_json::Value;

/// A run too short to learn anything, of an algorithm that would not.
const ONE_ROLLOUT: &[&str] = &["--set", "n_steps=64", "--total-steps", "64", "--no-eval"];

#[test]
fn sound_environments_pass_and_others_are_told_why_not() {
    let place = Place::new();
    let envs = place.json(&["envs"]);
    let ids = envs.as_array().unwrap().iter().map(|env| env["id"].as_str().unwrap());
    for id in ids.filter(|id| !["Faulty-v0", "Stuck-v0", "Masked-v0"].contains(id)) {
        let document = place.json(&["check-env", id]);
        assert_eq!(document, serde_json::json!({"env": id, "findings": []}));
    }

    let output = place.run(&["check-env", "Faulty-v0", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failure = document["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "failure").unwrap();
    assert!(failure["message"].as_str().unwrap().contains("the cable broke"), "{document}");

    let output = place.run(&["check-env", "Faulty-v0"]);
    assert_eq!(output.status.code(), Some(1));
    let line = format!("failure (step {}): {}", failure["step"], failure["message"].as_str().unwrap());
    assert!(String::from_utf8(output.stdout).unwrap().lines().any(|l| l == line));
}

#[test]
fn a_played_policy_is_seen_doing_what_it_was_evaluated_for() {
    let place = Place::new();
    let normalized = ["--set", "normalize_observation=true"];
    for (env, more, size) in [("CartPole-v1", &[][..], (600, 400)), ("Pendulum-v1", &normalized, (500, 500))]
    {
        let dir = place.train("lazy", env, &[ONE_ROLLOUT, more, &["--seed", "4"]].concat());
        let dir = dir.to_str().unwrap();
        let document = place.json(&["play", dir, "--gif", "film.gif", "--png", "last.png"]);
        assert_eq!((&document["env"], &document["seed"]), (&Value::from(env), &Value::from(4)));
        assert_eq!(document["files"], serde_json::json!(["film.gif", "last.png"]));
        let episodes = document["episodes"].as_array().unwrap();
        let evaluation = place.json(&["eval", dir, "--episodes", "1"]);
        assert_eq!(episodes.len(), 1);
        assert_eq!(episodes[0]["return"], evaluation["eval"]["mean"]);
        assert_eq!(episodes[0]["length"].as_f64(), evaluation["mean_length"].as_f64());

        let film = fs::read(place.path().join("film.gif")).unwrap();
        let sides = film[6..10].as_chunks::<2>().0;
        assert!(film.starts_with(b"GIF89a") && film.ends_with(b"\x3b"));
        assert_eq!((u16::from_le_bytes(sides[0]), u16::from_le_bytes(sides[1])), size);
        let picture = fs::read(place.path().join("last.png")).unwrap();
        let sides = picture[16..24].as_chunks::<4>().0;
        assert!(picture.starts_with(b"\x89PNG"));
        assert_eq!(
            (u32::from_be_bytes(sides[0]), u32::from_be_bytes(sides[1])),
            (size.0.into(), size.1.into())
        );

        // The same again is the same film; other starts give another one; nothing is replaced.
        let again = ["play", dir, "--gif", "again.gif"];
        place.json(&again);
        assert_eq!(fs::read(place.path().join("again.gif")).unwrap(), film);
        assert!(place.refuses(1, &again).contains("again.gif exists"));
        let others = place.json(&["play", dir, "--gif", "others.gif", "--seed", "5", "--episodes", "3"]);
        assert_eq!(others["episodes"].as_array().unwrap().len(), 3);
        assert_ne!(fs::read(place.path().join("others.gif")).unwrap(), film);
        let left = place.json(&["play", dir, "--png", "early.png", "--max-steps", "3"]);
        assert_eq!(left["episodes"][0]["length"], 3);
        for file in ["film.gif", "last.png", "again.gif", "others.gif", "early.png"] {
            fs::remove_file(place.path().join(file)).unwrap();
        }
    }
}

#[test]
fn an_environment_without_pictures_cannot_be_looked_at() {
    let place = Place::new();
    let dir = place.train("lazy", "Faulty-v0", ONE_ROLLOUT);
    let line = place.refuses(1, &["play", dir.to_str().unwrap(), "--gif", "film.gif"]);
    assert!(line.contains("Faulty-v0 draws no pictures"), "{line}");
}
