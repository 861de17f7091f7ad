"""Reads what runs leave with TensorBoard's own reader.

    python tests/tensorboard_check.py target/release/rl

Trains every algorithm briefly in a temporary directory, then checks: the core tags are there for each of them, steps and values equal
progress.csv, the HParams plugin lists every run with its settings, and histograms and films are whole where they are asked for. Needs `pip install tensorboard`. Exits non-zero on any failure.
"""

import csv
import json
import math
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from tensorboard import context as request_context
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

CORE = """
rollout/ep_rew_mean rollout/ep_len_mean eval/mean_reward eval/mean_ep_length
time/fps time/iterations time/time_elapsed time/total_timesteps
train/approx_kl train/kl_max train/entropy_loss train/value_loss train/explained_variance train/surrogate_gain
train/grad_norm train/learning_rate
""".split()
OWN = {
    "ppo": "clip_fraction policy_gradient_loss loss n_updates clip_range".split(),
    "trpo": "cg_residual cg_iters backtracks accepted step_size expected_gain".split(),
}
# The settings every run has, and some that only one algorithm has.
SETTINGS = {
    "ppo": {"clip_range": "lin_0.2", "target_kl": "none", "n_epochs": 20.0},
    "trpo": {"max_kl": 0.02, "cg_damping": 0.001, "accept_ratio": 0.0},
}
RUNS = [
    ("ppo", "CartPole-v1", ["--histograms", "--film"]),
    ("trpo", "CartPole-v1", ["--set", "max_kl=0.02"]),
    ("trpo", "Pendulum-v1", ["--set", "max_kl=0.02", "--set", "cg_damping=0.001", "--histograms=4096"]),
]


def train(rl, algo, env, more, out):
    command = [rl, "train", algo, env, "--preset", "zoo", "--total-steps", "8192", "--seed", "7", "--out", out, "--quiet", "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stderr}"
    return Path(json.loads(done.stdout)["run_dir"])


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def rows(run_dir):
    with open(run_dir / "progress.csv", newline="") as file:
        return list(csv.DictReader(file))


def check_scalars(algo, env, run_dir):
    """The same (tag, step, value) in both logs."""
    events = event_accumulator.EventAccumulator(str(run_dir), size_guidance={event_accumulator.SCALARS: 0})
    events.Reload()
    in_tensorboard = {}
    for tag in events.Tags()["scalars"]:
        for scalar in events.Scalars(tag):
            assert (tag, scalar.step) not in in_tensorboard, f"{run_dir}: {tag} twice at step {scalar.step}"
            in_tensorboard[tag, scalar.step] = scalar.value
    in_csv = {}
    for row in rows(run_dir):
        step = int(row["time/total_timesteps"])
        in_csv.update({(tag, step): f32(float(value)) for tag, value in row.items() if value != ""})
    assert in_tensorboard.keys() == in_csv.keys(), f"{run_dir}: in one log only: {in_tensorboard.keys() ^ in_csv.keys()}"
    for key, value in in_csv.items():
        assert in_tensorboard[key] == value, f"{run_dir}: {key} is {in_tensorboard[key]} in TensorBoard, {value} in progress.csv"

    tags = {tag for tag, _ in in_tensorboard}
    expected = set(CORE) | {f"train/{name}" for name in OWN[algo]}
    expected |= {"train/std"} if env == "Pendulum-v1" else set()
    assert expected <= tags, f"{run_dir}: TensorBoard lacks {sorted(expected - tags)}"
    steps = sorted({step for _, step in in_tensorboard})
    assert len(steps) >= 4 and steps[-1] >= 8192, f"{run_dir}: steps {steps}"
    evaluations = [step for tag, step in in_tensorboard if tag == "eval/mean_reward"]
    assert len(evaluations) >= 4 and max(evaluations) == steps[-1], f"{run_dir}: evaluations at {evaluations}"
    (config,) = [text for text in events.Tensors("config")]
    table = config.tensor_proto.string_val[0].decode()
    assert f"| algo | {algo} |" in table and "| total_steps | 8192 |" in table, f"{run_dir}: the text page shows {table!r}"
    return len(in_tensorboard)


def saved_tensors(run_dir):
    """The names and sizes of the policy's tensors in the file that the run saved."""
    with open(run_dir / "policy.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return {name: math.prod(about["shape"]) for name, about in header.items() if name.startswith("policy.")}


def check_histograms(env, more, run_dir):
    """Those that were asked for, whole and of the right sizes, at the updates they were asked for."""
    events = event_accumulator.EventAccumulator(str(run_dir), size_guidance={event_accumulator.HISTOGRAMS: 0})
    events.Reload()
    tags = set(events.Tags()["histograms"])
    asked = [flag for flag in more if flag.startswith("--histograms")]
    sizes = {f"parameters/{name}": size for name, size in saved_tensors(run_dir).items()}
    assert len(sizes) >= 6, f"{run_dir}: the saved policy has {sorted(sizes)}"
    critic = {f"parameters/critic.{layer}.{part}" for layer in (0, 1, 2) for part in ("weight", "bias")}
    expected = {*sizes, *critic, "actions/0"} if asked else set()
    assert tags == expected, f"{run_dir}: histograms {sorted(tags)}, expected {sorted(expected)}"
    updates = [int(row["time/total_timesteps"]) for row in rows(run_dir)]
    freq = int(asked[0].partition("=")[2] or 1) if asked else 1
    steps = [step for before, step in zip([0, *updates], updates) if step // freq > before // freq]
    assert freq == 1 or len(steps) < len(updates), f"{run_dir}: {freq} steps are no more than an update"
    for tag in tags:
        found = events.Histograms(tag)
        assert [histogram.step for histogram in found] == steps, f"{run_dir}: {tag} at {[h.step for h in found]}"
        for step, histogram in ((event.step, event.histogram_value) for event in found):
            limits, counts = histogram.bucket_limit, histogram.bucket
            where = f"{run_dir}: {tag} at step {step}"
            assert sum(counts) == histogram.num > 0 and len(limits) == len(counts), f"{where}: {counts} of {histogram.num}"
            assert limits == sorted(limits) and limits[-1] == histogram.max >= histogram.min, f"{where}: {limits}"
            mean = histogram.sum / histogram.num
            assert histogram.min - 1e-9 <= mean <= histogram.max + 1e-9, f"{where}: mean {mean}"
            assert histogram.num == sizes.get(tag, histogram.num), f"{where}: {histogram.num} of {sizes.get(tag)}"
            if tag == "actions/0" and env == "CartPole-v1":
                assert (histogram.min, histogram.max, counts[0] + counts[-1]) == (0, 1, histogram.num), where
    return len(tags)


def check_films(more, run_dir):
    """One film an evaluation, as an image that moves."""
    events = event_accumulator.EventAccumulator(str(run_dir), size_guidance={event_accumulator.IMAGES: 0})
    events.Reload()
    assert events.Tags()["images"] == (["eval/film"] if "--film" in more else []), f"{run_dir}: {events.Tags()['images']}"
    films = events.Images("eval/film") if "--film" in more else []
    evaluations = [int(row["time/total_timesteps"]) for row in rows(run_dir) if row["eval/mean_reward"]]
    assert not films or [film.step for film in films] == evaluations, f"{run_dir}: films at {[f.step for f in films]}"
    for film in films:
        gif = film.encoded_image_string
        width, height = struct.unpack("<HH", gif[6:10])
        assert gif[:6] == b"GIF89a" and b"NETSCAPE2.0" in gif and (width, height) == (film.width, film.height)
        assert gif.count(b"\x21\xf9\x04") > 5, f"{run_dir}: {gif.count(bytes([0x21, 0xF9, 4]))} pictures"
    return len(films)


def check_hparams(logdir, runs):
    """The HParams plugin's own listing: one group for every run, its settings, its metrics, its outcome."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
    context = base_plugin.TBContext(logdir=str(logdir), multiplexer=multiplexer, data_provider=provider)
    backend = backend_context.Context(context)

    request = api_pb2.GetExperimentRequest(experiment_name="")
    experiment = get_experiment.Handler(request_context.RequestContext(), backend, "", request).run()
    columns = {info.name for info in experiment.hparam_infos}
    for settings in SETTINGS.values():
        assert settings.keys() <= columns, f"HParams lacks the columns {settings.keys() - columns}, has {sorted(columns)}"
    metrics = {info.name.tag for info in experiment.metric_infos}
    assert "eval/mean_reward" in metrics, f"HParams lists no eval/mean_reward among {sorted(metrics)}"

    wanted = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag="eval/mean_reward"))]
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING, api_pb2.STATUS_UNKNOWN],
        col_params=[api_pb2.ColParams(metric=wanted[0].name, order=api_pb2.ORDER_DESC)],
        start_index=0,
        slice_size=100,
    )
    groups = list_session_groups.Handler(request_context.RequestContext(), backend, "", request).run().session_groups
    assert len(groups) == len(runs), f"HParams lists {len(groups)} runs, not {len(runs)}"
    for (algo, env, _), run_dir in runs:
        name = str(run_dir.relative_to(logdir))
        (group,) = [g for g in groups if g.name == name] or [None]
        assert group, f"HParams does not list {name}, only {[g.name for g in groups]}"
        hparams = {key: getattr(value, value.WhichOneof("kind")) for key, value in group.hparams.items()}
        expected = {"algo": algo, "env": env, "seed": 7.0, "total_steps": 8192.0, "net_arch": "[64,64]", "ortho_init": True}
        for key, value in (expected | SETTINGS[algo]).items():
            assert hparams.get(key) == value, f"{name}: HParams shows {key} = {hparams.get(key)!r}, not {value!r}"
        (session,) = group.sessions
        assert session.status == api_pb2.STATUS_SUCCESS, f"{name}: status {session.status}"
        assert session.end_time_secs >= session.start_time_secs > 0
        shown = [m.value for m in group.metric_values if m.name.tag == "eval/mean_reward"]
        last = f32(float(rows(run_dir)[-1]["eval/mean_reward"]))
        assert shown and math.isclose(shown[0], last), f"{name}: HParams shows {shown}, the last evaluation was {last}"
    return len(groups)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as out:
        runs = [(run, train(sys.argv[1], *run, out)) for run in RUNS]
        for (algo, env, more), run_dir in runs:
            print(f"{algo} on {env}: {check_histograms(env, more, run_dir)} histograms are whole, {check_films(more, run_dir)} films move")
            print(f"{algo} on {env}: {check_scalars(algo, env, run_dir)} scalars equal progress.csv")
        print(f"HParams lists {check_hparams(Path(out), runs)} runs with their settings")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        sys.exit(f"FAILED: {failure}")
