//! What the command line refuses: in one line that names what is wrong and what would be right, and with nothing done.

use std::fs;

use crate::helpers::command_line::Place;
use crate::helpers::small_run::spec;
use rl_algo::NetConfig;
use rl_env::envs::CartPole;
use rl_env::rng::stream;
use rl_env::{ActionRef, EnvSpec};
use rl_ppo::{Ppo, PpoConfig};
use rl_train::{CheckpointConfig, EvalConfig, NoImprovement, RewardReached, TrainConfig, Trainer, new_agent};

/// What is wrong with a command line, as (arguments, what the line must say).
const MISUSE: &[(&str, &[&str])] = &[
    ("train ppo CartPol-v1", &["CartPol-v1", "did you mean \"CartPole-v1\"", "Pendulum-v1"]),
    ("train pppo CartPole-v1", &["pppo", "did you mean \"ppo\"", "trpo"]),
    ("train ppo", &["<ENV>"]),
    ("trian ppo CartPole-v1", &["trian", "train"]),
    ("", &["--help"]),
    // Presets and files.
    ("train ppo CartPole-v1 --preset zo", &["\"zo\"", "did you mean \"zoo\"", "sb3"]),
    ("train ppo Catch-v0 --preset zoo", &["zoo", "ppo on Catch-v0", "sb3"]),
    ("train ppo CartPole-v1 --config bad.toml", &["clip_rnge = 0.1 (bad.toml)", "clip_range"]),
    ("train ppo CartPole-v1 --config broken.toml", &["broken.toml, line 2"]),
    ("train ppo CartPole-v1 --config other.toml", &["algo = \"trpo\" (other.toml)", "says ppo"]),
    ("show-config ppo Pendulum", &["Pendulum", "did you mean \"Pendulum-v1\""]),
    ("train ppo CartPole-v1 --config number.toml", &["algo = 3 (number.toml)", "a name"]),
    ("settings pppo", &["pppo", "did you mean \"ppo\""]),
    // Keys.
    ("train ppo CartPole-v1 --set clip_rnge=0.1", &["clip_rnge = 0.1", "did you mean \"clip_range\""]),
    (
        "train trpo CartPole-v1 --set clip_range=0.1",
        &["clip_range = 0.1", "a setting of ppo", "settings trpo` lists them"],
    ),
    ("train ppo CartPole-v1 --set gamma", &["gamma", "key=value"]),
    ("train ppo CartPole-v1 --set trpo.max_kl=0.1", &["trpo.max_kl", "trpo is not among"]),
    ("train ppo CartPole-v1 --set tpo.max_kl=0.1", &["tpo.max_kl", "did you mean \"trpo\""]),
    (
        "train ppo CartPole-v1 --set max_kl=0.1",
        &["unknown setting of ppo, it is a setting of npg, trpo; `rl-under-test settings ppo` lists them\n"],
    ),
    (
        "train ppo CartPole-v1 --config table.toml",
        &["trpo.foo = 5 (table.toml): unknown setting of trpo; `rl-under-test settings trpo` lists them"],
    ),
    (
        "train ppo CartPole-v1 --lr 0.1",
        &[
            "unexpected argument '--lr'; settings are given as `--set learning_rate=0.1`; see `rl-under-test train --help`",
        ],
    ),
    (
        "show-config trpo CartPole-v1 --max-kl=0.02",
        &["'--max-kl'; settings are given as `--set max_kl=0.02`"],
    ),
    ("compare --n-epochs", &["'--n-epochs'; settings are given as `--set n_epochs=VALUE`"]),
    ("eval runs/x --lr 0.1", &["unexpected argument '--lr'; see `rl-under-test eval --help`"]),
    // Words in the wrong place.
    (
        "train CartPole-v1 ppo",
        &["\"CartPole-v1\" is an environment: the algorithm comes first, as in ppo CartPole-v1"],
    ),
    ("compare CartPole-v1", &["\"CartPole-v1\" is an environment, and not an algorithm"]),
    ("resume runs/x", &["'resume'; `rl-under-test train --resume RUN_DIR` goes on with a run"]),
    ("train ppo Nope-v0", &["unknown environment \"Nope-v0\"; known: Acrobot-v1"]),
    ("compare --set lazy.ambition=1", &["lazy is not among", "trpo, ppo"]),
    (
        "compare --set target_kl=0.02",
        &["target_kl = 0.02", "max_kl = trpo.target_kl", "target_kl = ppo.target_kl"],
    ),
    ("compare ppo ppo", &["\"ppo\" is given twice", "ppo:label="]),
    // Variants.
    ("compare ppo:clip_rnge=0.1", &["clip_rnge = 0.1 (ppo:clip_rnge=0.1)", "did you mean \"clip_range\""]),
    ("compare ppo:clip_range=-1", &["clip_range = -1: expected a positive number"]),
    ("compare ppo: trpo", &["ppo:", "ALGO:key=value"]),
    ("compare ppo:gamma", &["ppo:gamma", "expected key=value"]),
    ("compare ppo@zo", &["\"zo\"", "did you mean \"zoo\""]),
    ("compare ppo:label=a ppo:label=a,gamma=0.9", &["\"ppo-a\" is given twice"]),
    ("compare --shard 4/3", &["--shard 4/3", "K/N"]),
    ("compare --until 0", &["--until 0", "a positive number"]),
    ("compare --until 1 --bounds 5,1", &["--bounds 5,1", "LOW,HIGH"]),
    ("compare ppo --until 1 --no-eval", &["--until 1", "ppo is never evaluated"]),
    ("compare --until 1 --seeds 5", &["--until", "--seeds"]),
    ("compare --bounds 0,1", &["--until"]),
    ("compare --runs runs --seeds 3", &["--runs", "--seeds"]),
    ("compare ppo --env CartPole-v1 --env CartPole-v1", &["\"CartPole-v1\" is given twice"]),
    ("compare ppo trpo --config of_ppo.toml --env Acrobot-v1", &["env = \"CartPole-v1\"", "says Acrobot-v1"]),
    ("compare trpo --config of_ppo.toml", &["algo = \"ppo\"", "says trpo"]),
    // Values.
    ("train ppo CartPole-v1 --set learning_rate=-0.001", &["learning_rate = -0.001", "positive"]),
    (
        "train ppo CartPole-v1 --set learning_rate=exp_1",
        &["learning_rate = \"exp_1\": expected a positive number", "lin_"],
    ),
    ("train ppo CartPole-v1 --set batch_size=3000", &["batch_size = 3000", "1024"]),
    ("train ppo CartPole-v1 --set batch_size=many", &["batch_size = \"many\"", "an integer from 1 up"]),
    ("train ppo CartPole-v1 --set n_epochs=1.5", &["n_epochs = 1.5", "an integer from 1 up"]),
    ("train ppo CartPole-v1 --set gamma=1.5", &["gamma = 1.5", "from 0 to 1"]),
    ("train ppo CartPole-v1 --set gamma=none", &["gamma = none", "a number from 0 to 1"]),
    ("train ppo CartPole-v1 --set gamma=nan", &["gamma = \"nan\"", "a number"]),
    ("train ppo CartPole-v1 --set normalize_advantage=3", &["normalize_advantage = 3", "true or false"]),
    ("train ppo CartPole-v1 --set net_arch=[64,0]", &["net_arch = [64, 0]", "integers from 1 to 65536"]),
    (
        "train ppo CartPole-v1 --set net_arch={pi=[64]}",
        &["net_arch = { pi = [64] }", "or a table of such, { pi = …, vf = … }"],
    ),
    // What does not go together, or does nothing.
    (
        "train ppo CartPole-v1 --set shared_layers=1 --set max_grad_norm_each=true",
        &["max_grad_norm_each = true", "false for an actor and a critic that share a trunk (shared_layers)"],
    ),
    (
        "train ppo CartPole-v1 --set max_grad_norm=none --set max_grad_norm_each=true",
        &["max_grad_norm_each = true: expected false", "no max_grad_norm"],
    ),
    ("train ppo CartPole-v1 --set vf_clip=clipped", &["vf_clip = clipped: expected max", "no clip_range_vf"]),
    ("train ppo CartPole-v1 --set kl_estimator=k1", &["kl_estimator = k1: expected k3", "no target_kl"]),
    (
        "train ppo CartPole-v1 --set recompute_advantage=true --set n_epochs=1",
        &["recompute_advantage = true: expected false", "n_epochs = 1"],
    ),
    ("train ppo CartPole-v1 --set adam_eps=0", &["adam_eps = 0: expected a positive number"]),
    ("train a2c CartPole-v1 --set rms_prop_eps=0", &["rms_prop_eps = 0: expected a positive number"]),
    (
        "train a2c CartPole-v1 --n-envs 1 --set n_episodes=1 --set n_steps=5",
        &["n_steps = 5", "none where n_episodes says"],
    ),
    (
        "train ppo CartPole-v1 --config elsewhere.toml",
        &["elsewhere.toml: trpo.max_kl = -3", "a positive number"],
    ),
    (
        "compare ppo ppo:seed=3 --seeds 2",
        &["ppo:seed=3: all columns have the same seeds", "--seed gives the first"],
    ),
    ("train ppo CartPole-v1 --net-arch 32,32", &["settings are given as `--set 'net_arch=[32,32]'`"]),
    ("train ppo CartPole-v1 --python python3", &["--python is for environments of Python's Gymnasium"]),
    (
        "train ppo CartPole-v1 --seed 18446744073709551615",
        &["seed = 18446744073709551615: expected an integer from 0 up, below 2^63"],
    ),
    ("train ppo CartPole-v1 --config json.toml", &["this looks like JSON, and a file of settings is TOML"]),
    ("train ppo CartPole-v1 --eval-episodes 3", &["an evaluation has 20 episodes"]),
    ("eval runs --env CartPole-v1", &["a policy knows its environment"]),
    ("train --config other.toml", &["other.toml: it says no environment (env = \"CartPole-v1\")"]),
    ("train ppo CartPole-v1 --set =3", &["--set =3: expected key=value"]),
    (
        "compare ppo,trpo@zoo",
        &["\"ppo,trpo\" is no algorithm; only a comparison takes several, with spaces between them"],
    ),
    ("train --config typo.toml", &["typo.toml: unknown algorithm \"ppoo\", did you mean \"ppo\""]),
    ("train CartPole-v1 --config value.toml", &["value.toml: it says no algorithm (algo = \"ppo\")"]),
    ("compare ppo --until 1 --bounds 1,0", &["--bounds 1,0: expected LOW,HIGH with LOW below HIGH"]),
    ("train lazy CartPole-v1 --set ambition=much", &["ambition = \"much\"", "a number"]),
    ("train ppo CartPole-v1 --set activation=tan", &["activation = \"tan\"", "tanh", "relu"]),
    ("train ppo CartPole-v1 --set normalize_observation=1", &["normalize_observation = 1", "true or false"]),
    (
        "train ppo CartPole-v1 --set normalise_reward=true",
        &["normalise_reward = true", "did you mean \"normalize_reward\""],
    ),
    (
        "train ppo CartPole-v1 --set net_arch=[64",
        &["--set net_arch=[64: this begins like a list and is none", "[64, 64]"],
    ),
    ("compare ppo:net_arch={pi=[8]", &["ppo:net_arch={pi=[8]", "like a table"]),
    (
        "train ppo CartPole-v1 --set eval_freq=none",
        &["eval_freq = none: expected an integer", "\"tenths\", \"never\""],
    ),
    (
        "train ppo CartPole-v1 --config value.toml",
        &["value.toml: gamma = 1.5: expected a number from 0 to 1"],
    ),
    ("train ppo CartPole-v1 --config together.toml", &["together.toml: vf_clip = clipped: expected max"]),
    // What stands in the place of something else.
    ("train ppo CartPole-v1 -seed 3", &["unexpected argument '-s'; there is '--seed'"]),
    ("train ppo CartPole-v1 gamma=0.9", &["settings are given as `--set gamma=0.9`"]),
    ("compare ppo gamma=0.9", &["\"gamma=0.9\" is no algorithm", "`--set gamma=0.9`"]),
    ("train ppo@sb3 CartPole-v1", &["only a comparison has variants; here it is ppo --preset sb3"]),
    ("train ppo:gamma=0.9 CartPole-v1", &["here it is ppo --set gamma=0.9"]),
    ("compare CartPole-v1", &["an environment, and not an algorithm; here it is --env CartPole-v1"]),
    ("train ppo: CartPole-v1", &["here it is ppo --preset PRESET --set KEY=VALUE"]),
    ("train ppo gamma=0.9", &["\"gamma=0.9\" is no environment; a setting is given as `--set gamma=0.9`"]),
    (
        "train ppo gamma=0.9 CartPole-v1",
        &["unexpected argument 'CartPole-v1'; settings are given as `--set gamma=0.9`"],
    ),
    (
        "train ppo CartPole-v1 --extend-schedule",
        &["--extend-schedule is for a run that goes on: --resume RUN_DIR"],
    ),
    ("train ppo CartPole-v1 --resume runs/x", &["--no-eval", "has the settings it began with"]),
    ("train ppo CartPole-v1 --config features.toml", &["features.toml: features = \"nonsense\""]),
    ("train ppo CartPole-v1 --config preset.toml", &["preset.toml: unknown preset \"nonsense\""]),
    ("compare --until -1", &["--until -1: expected a positive number"]),
    // What people write who come from elsewhere.
    (
        "train --algo ppo --env CartPole-v1",
        &["'--algo'; the algorithm comes first", "`train ppo CartPole-v1`"],
    ),
    (
        "train ppo --env CartPole-v1",
        &["'--env'; the environment follows the algorithm", "`train ppo CartPole-v1`"],
    ),
    ("train ppo CartPole-v1 -n 1000", &["'-n'; here it is --total-steps 1000"]),
    ("train ppo CartPole-v1 --timesteps=1000", &["'--timesteps'; here it is --total-steps 1000"]),
    ("train ppo CartPole-v1 --verbose 1", &["'--verbose'; progress is shown unless there is --quiet"]),
    ("train ppo CartPole-v1 --device cpu", &["'--device'; everything is computed on the processor"]),
    ("train ppo CartPole-v1 --policy MlpPolicy", &["'--policy'; a policy's networks are settings: net_arch"]),
    ("train ppo CartPole-v1 --tensorboard-log logs", &["every run logs for TensorBoard in its directory"]),
    ("train ppo CartPole-v1 --seeds 3", &["`compare` trains several seeds: `compare ppo --seeds 3`"]),
    ("eval runs/x --deterministic", &["policies act deterministically unless there is --stochastic"]),
    ("enjoy ppo", &["'enjoy'; `rl-under-test play RUN_DIR --gif FILE.gif`"]),
    ("help train", &["'help'; `rl-under-test --help` lists the commands"]),
    (
        "train ppo LunarLander-v3",
        &["\"LunarLander-v3\"", "Python's Gymnasium may have it: gym:LunarLander-v3"],
    ),
    ("compare ppo --env CartPole-v1,Acrobot-v1", &["several are --env CartPole-v1 --env Acrobot-v1"]),
    ("train ppo CartPole-v1 --histograms 1000", &["its number is written --histograms=1000"]),
    ("train ppo CartPole-v1 --threads -1", &["--threads takes no negative number"]),
    ("train ppo CartPole-v1 --set lr=0.1", &["lr = 0.1", "did you mean \"learning_rate\"?"]),
    (
        "train trpo CartPole-v1 --set max_kl=0.1 --set target_kl=0.2",
        &["max_kl = 0.1 (--set) and target_kl = 0.2 (--set) are one setting of trpo, max_kl: give it once"],
    ),
    ("train ppo CartPole-v1 -film", &["unexpected argument '-f'; there is '--film'"]),
    ("train ppo CartPole-v1 -n-envs 4", &["unexpected argument '-n'; there is '--n-envs'"]),
    ("train ppo CartPole-v1 -tb logs", &["'-t'; every run logs for TensorBoard"]),
    ("train ppo CartPole-v1 --seed 1000 --histograms 1", &["its number is written --histograms=1"]),
    ("eval runs/x --verbose", &["unexpected argument '--verbose'; see"]),
    (
        "train trpo CartPole-v1 --config aliases.toml",
        &["trpo.max_kl = 0.1 (aliases.toml) and trpo.target_kl"],
    ),
    ("train ppo CartPole-v1 --config part.toml", &["ppo.gamma = NaN (part.toml): expected a finite number"]),
    ("train ppo CartPole-v1 --config nan.toml", &["gamma = NaN (nan.toml): expected a finite number"]),
    (
        "train ppo CartPole-v1 --config word.toml",
        &["word.toml, line 2: ", "a text needs quotes: learning_rate = \"lin_0.1\""],
    ),
    (
        "train ppo CartPole-v1 --config null.toml",
        &["null.toml, line 1: ", "no value is target_kl = \"none\""],
    ),
    ("train ppo CartPole-v1 --config twice.toml", &["twice.toml, line 2: ", "gamma stands twice"]),
    ("compare ppo:clip_range=-1", &["ppo:clip_range=-1: clip_range = -1: expected a positive number"]),
    ("compare --seeds five", &["'five' for '--seeds <N>': expected an integer from 1 to 10^6"]),
    ("train --resume runs/x --set gamma=0.9", &["--resume", "--set", "has the settings it began with"]),
    // Flags.
    ("train ppo CartPole-v1 --n-envs 0", &["n_envs = 0", "from 1 to 65536"]),
    ("train ppo CartPole-v1 --total-steps -5", &["total_steps = -5", "an integer from 1 to 10^15"]),
    ("train ppo CartPole-v1 --seed x", &["seed = \"x\"", "an integer from 0"]),
    ("train ppo CartPole-v1 --eval-freq 0", &["eval_freq = 0", "from 1 up"]),
    ("train ppo CartPole-v1 --threads 0", &["--threads", "0"]),
    ("train ppo CartPole-v1 --thread 2", &["--thread", "--threads"]),
    ("train ppo CartPole-v1 --resume runs/x", &["--resume"]),
    ("train ppo CartPole-v1 --stop-at-reward much", &["stop_at_reward = \"much\"", "a number, or none"]),
    (
        "train ppo CartPole-v1 --stop-at-reward 1 --set eval_freq=never",
        &["stop_at_reward = 1", "never evaluated"],
    ),
    ("train ppo CartPole-v1 --stop-at-reward 1 --no-eval", &["--stop-at-reward", "--no-eval"]),
    ("train ppo CartPole-v1 --max-hours 0", &["max_hours = 0", "a positive number, or none"]),
    ("train --resume runs/x --init y", &["--resume", "--init"]),
    ("compare --runs runs --max-hours 1", &["--runs", "--max-hours"]),
    ("eval runs/x --checkpoint first", &["--checkpoint", "first"]),
    ("check-env CartPol-v1", &["CartPol-v1", "did you mean \"CartPole-v1\""]),
    ("play runs/CartPole-v1/ppo/s0", &["--gif", "--png"]),
    ("play runs/x --gif walk.png", &["--gif walk.png: what it writes is a .gif, and not a .png"]),
    ("play runs/x --png walk.gif", &["--png walk.gif: what it writes is a .png, and not a .gif"]),
    ("play runs/x --gif x.gif --fps 0", &["--fps", "0"]),
    ("compare --seeds 0", &["--seeds", "0"]),
    ("compare --seeds 2 --seed 9223372036854775807", &["--seeds 2", "9223372036854775807"]),
];

#[test]
fn misuse_is_refused_in_one_line() {
    let place = Place::new();
    fs::write(place.path().join("bad.toml"), "gamma = 0.9\nclip_rnge = 0.1\n").unwrap();
    fs::write(place.path().join("broken.toml"), "gamma = 0.9\nn_envs = = 2\n").unwrap();
    fs::write(place.path().join("other.toml"), "algo = \"trpo\"\n").unwrap();
    fs::write(place.path().join("of_ppo.toml"), "algo = \"ppo\"\nenv = \"CartPole-v1\"\n").unwrap();
    fs::write(place.path().join("number.toml"), "algo = 3\n").unwrap();
    fs::write(place.path().join("features.toml"), "features = \"nonsense\"\n").unwrap();
    fs::write(place.path().join("preset.toml"), "preset = \"nonsense\"\n").unwrap();
    fs::write(place.path().join("value.toml"), "gamma = 1.5\n").unwrap();
    fs::write(place.path().join("json.toml"), "{\n  \"gamma\": 0.9\n}\n").unwrap();
    fs::write(place.path().join("typo.toml"), "algo = \"ppoo\"\nenv = \"CartPole-v1\"\n").unwrap();
    fs::write(place.path().join("elsewhere.toml"), "gamma = 0.9\n[trpo]\nmax_kl = -3\n").unwrap();
    fs::write(place.path().join("together.toml"), "vf_clip = \"clipped\"\n").unwrap();
    let aliases = "algo = \"trpo\"\nmax_kl = 0.1\ntarget_kl = 0.2\n";
    fs::write(place.path().join("aliases.toml"), aliases).unwrap();
    fs::write(place.path().join("part.toml"), "[ppo]\ngamma = nan\n").unwrap();
    fs::write(place.path().join("nan.toml"), "gamma = nan\n").unwrap();
    fs::write(place.path().join("word.toml"), "gamma = 0.9\nlearning_rate = lin_0.1 # falls\n").unwrap();
    fs::write(place.path().join("null.toml"), "target_kl = None\n").unwrap();
    fs::write(place.path().join("twice.toml"), "gamma = 0.9\ngamma = 0.8\n").unwrap();
    fs::write(place.path().join("table.toml"), "[trpo]\nfoo = 5\n").unwrap();
    for (args, expected) in MISUSE {
        let args: Vec<&str> = args.split_whitespace().collect();
        let line = place.refuses(2, &args);
        for part in *expected {
            assert!(line.contains(part), "{args:?}: no {part:?} in {line}");
        }
    }
}

/// Failures of the file system end with code 1, before any training and with nothing half-written.
#[test]
fn files_that_cannot_be_used_are_named() {
    let place = Place::new();
    fs::write(place.path().join("file"), "precious").unwrap();
    for args in [&["train", "ppo", "CartPole-v1", "--out", "file/runs"][..], &["compare", "--out", "file"]] {
        let line = place.refuses(1, args);
        assert!(line.contains("cannot create the directory file"), "{line}");
    }
    let line = place.refuses(1, &["train", "ppo", "CartPole-v1", "--config", "nowhere.toml"]);
    assert!(line.contains("cannot read nowhere.toml"), "{line}");
    for args in [&["eval", "nowhere"][..], &["play", "nowhere", "--gif", "x.gif"]] {
        let line = place.refuses(1, args);
        assert!(line.contains("nowhere: no run is there"), "{line}");
    }
    let line = place.refuses(1, &["play", "nowhere", "--png", "file"]);
    assert!(line.contains("file exists, and nothing is overwritten"), "{line}");
    assert_eq!(fs::read_to_string(place.path().join("file")).unwrap(), "precious");
}

/// The same from a program: what does not fit is refused before anything runs.
#[test]
fn a_program_is_told_what_does_not_fit() {
    let (pole, pendulum) = (spec("CartPole-v1"), spec("Pendulum-v1"));
    let net = NetConfig::default();
    let trainer = |agent| {
        let ppo = Box::new(Ppo::new(PpoConfig::default()).unwrap());
        Trainer::new(&pole, TrainConfig { n_envs: 2, ..TrainConfig::default() }, agent, ppo, 0)
    };
    let refused = trainer(new_agent(&pendulum, &net, 0).unwrap()).err().unwrap().to_string();
    assert_eq!(refused, "elements of an observation: the policy has 3, the environment 4");
    for (eval, key) in [
        (EvalConfig::every(0), "freq"),
        (EvalConfig { episodes: 0, ..EvalConfig::every(1) }, "episodes"),
        (EvalConfig { final_episodes: 0, ..EvalConfig::every(1) }, "final_episodes"),
        (EvalConfig { max_steps: 0, ..EvalConfig::every(1) }, "max_steps"),
    ] {
        let trainer = trainer(new_agent(&pole, &net, 0).unwrap()).unwrap();
        let refused = trainer.with_evaluation(&pole, eval).err().unwrap().to_string();
        assert!(refused.contains(key) && refused.contains("from 1 up"), "{refused}");
    }
    // What would silently not be.
    let refused = |trainer: Trainer| {
        let mut trainer = trainer;
        trainer.run().unwrap_err().to_string()
    };
    let new = || trainer(new_agent(&pole, &net, 0).unwrap()).unwrap();
    let checkpoints = CheckpointConfig::tenths(100);
    assert_eq!(
        refused(new().with_checkpoints(checkpoints)),
        "Trainer::with_checkpoints needs a directory: Trainer::saving_in"
    );
    for (trainer, what) in [
        (new().with_watcher(RewardReached(1.0)), "the watcher RewardReached"),
        (new().with_watcher(NoImprovement::for_evaluations(2)), "the watcher NoImprovement"),
        (new().with_films(&pole).unwrap(), "Trainer::with_films"),
    ] {
        let told = refused(trainer);
        assert!(
            told.starts_with(what) && told.contains("needs evaluations, which Trainer::with_evaluation"),
            "{told}"
        );
    }
    let other = new().with_evaluation(&pendulum, EvalConfig::every(1)).err().unwrap().to_string();
    assert!(other.contains("the policy has 4, the environment 3"), "{other}");
    let nan = TrainConfig { gamma: f64::NAN, ..TrainConfig::default() }.validate().unwrap_err().to_string();
    assert_eq!(nan, "gamma = NaN, infinity or none: expected a number from 0 to 1");
    let none = EnvSpec::with_time_limit("None-v0", 0, CartPole::new);
    let refused = none.make().reset(&mut stream(0, "env", 0), &mut [0.0; 4]).err().unwrap();
    assert!(refused.to_string().contains("a time limit of 0 steps"), "{refused}");
    let mut env = pole.make();
    let refused = env.step(ActionRef::Discrete(&[0]), &mut stream(0, "env", 0), &mut [0.0; 4]).err().unwrap();
    assert_eq!(refused.to_string(), "step called before the first reset: call reset first");
}

/// A run of a program leaves its settings too, and they can be read where names are known.
#[test]
fn a_program_leaves_its_settings() {
    let out = tempfile::tempdir().unwrap();
    let dir = crate::helpers::small_run::finished(out.path(), "CartPole-v1", 1);
    let text = fs::read_to_string(dir.file("config.toml")).unwrap();
    let net = "\"mlp\", sizes = [4, 64, 64, 1], activation = \"tanh\" }";
    let critic = format!("critic = {{ kind = {net}");
    for line in
        ["algo = \"ppo\"", "env = \"CartPole-v1\"", "seed = 7", "n_steps = 16", "clip_range = 0.2", &critic]
    {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
}

/// Runs of a program are compared by what they came to, although they do not say how often they were evaluated.
#[test]
fn runs_of_a_program_are_compared() {
    let place = Place::new();
    crate::helpers::small_run::finished(&place.path().join("runs"), "CartPole-v1", 1);
    let document = place.json(&["compare", "--runs", "runs"]);
    let ppo = &document["environments"][0]["algorithms"][0];
    assert_eq!(
        (&ppo["algo"], &ppo["preset"], &ppo["withheld"]),
        (&"ppo".into(), &"none".into(), &serde_json::Value::Null)
    );
    assert!(ppo["mean"]["value"].is_number(), "{ppo}");
    // The command line knows no program.
    for args in [
        &["train", "--resume", "runs/CartPole-v1/ppo/s7"][..],
        &["inspect", "runs/CartPole-v1/ppo/s7", "--update", "1"],
    ] {
        let line = place.refuses(2, args);
        assert!(line.contains("its run was put together by a program"), "{line}");
    }
}
