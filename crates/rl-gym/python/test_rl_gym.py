"""Tests of the Python side alone: spaces, environments stepped on command, and the errors it tells."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import rl_gym_hosts
import rl_gym_making
from rl_gym_hosts import CONTINUES, TERMINATED, TRUNCATED, Singles, Vector
from rl_gym_spaces import Actions, Observations, Refusal


class Counting(gym.Env[Any, Any]):
    """Counts its steps; terminates at `end`, and is truncated by its time limit where that comes first."""

    observation_space = spaces.Box(0.0, 100.0, (1,), np.float64)
    action_space = spaces.Discrete(2, start=5)

    def __init__(self, end: int = 3, masked: bool = False) -> None:
        self.end, self.masked, self.t = end, masked, 0
        self.actions: list[Any] = []
        self.seeds: list[int | None] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.t = 0
        return np.array([0.0]), self.info()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        self.actions.append(action)
        self.t += 1
        return np.array([float(self.t)]), self.t / 10, self.t == self.end, False, self.info()

    def info(self) -> dict[str, Any]:
        return {"action_mask": np.array([1, self.t % 2], np.int8)} if self.masked else {}


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    gym.register("Counting-v0", lambda **kwargs: Counting(**kwargs), max_episode_steps=5, disable_env_checker=True)
    yield
    gym.registry.pop("Counting-v0")


def config(**more: Any) -> dict[str, Any]:
    basic: dict[str, Any] = {
        "id": "Counting-v0",
        "module": None,
        "kwargs": {},
        "wrappers": [],
        "n": 2,
        "autoreset": True,
    }
    return {**basic, "render": False, "measure": False, "info": [], **more}


def attach(host: Singles | Vector) -> Any:
    """Memory as the other side lays it out, and the host's view of it."""
    n, description = host_size(host), host.description
    o = flat_len(description["observation_space"])
    actions = description["action_space"]
    a = (
        len(actions["MultiDiscrete"])
        if "MultiDiscrete" in actions
        else 1
        if "Discrete" in actions
        else flat_len(actions)
    )
    m = 0 if "Box" in actions else flat_len(actions) * (2 if "MultiBinary" in actions else 1)
    k = len(host.info_keys)
    layout, size = {"n": n, "observation_len": o, "action_len": a, "mask_len": m, "metric_len": k}, 0
    sizes = {"seeds": 8 * n, "actions": 8 * n * a, "observations": 4 * n * o, "final_observations": 4 * n * o}
    sizes |= {"rewards": 8 * n, "ends": n, "valid": n, "masks": n * m, "has_masks": n, "episodes": 16 * n}
    sizes |= {"metrics": 8 * n * k}
    for name, length in sizes.items():
        layout[name] = size
        size += -(-length // 64) * 64
    host.attach(memoryview(bytearray(size)), layout)
    return host.rows


def host_size(host: Singles | Vector) -> int:
    return len(host.envs) if isinstance(host, Singles) else host.n


def flat_len(space: dict[str, Any]) -> int:
    if "Box" in space:
        return int(np.prod(space["Box"]["shape"]))
    if "MultiDiscrete" in space:
        return sum(space["MultiDiscrete"])
    if "Dict" in space:
        return sum(flat_len(part) for _, part in space["Dict"])
    if "Tuple" in space:
        return sum(map(flat_len, space["Tuple"]))
    return int(next(iter(space.values())))


# ---- spaces


def row_of(space: spaces.Space[Any], observation: Any) -> list[float]:
    observations = Observations(space)
    row = np.full(flat_len(observations.described), 9.0, np.float32)
    observations.write(row.reshape(observations.shape or row.shape), observation)
    return [float(x) for x in row]


def test_observations_become_rows() -> None:
    assert row_of(spaces.Box(0, 255, (2, 2), np.uint8), np.array([[0, 255], [1, 2]], np.uint8)) == [0, 255, 1, 2]
    assert row_of(spaces.Box(-1.0, 1.0, (1,), np.float64), np.array([0.1])) == [float(np.float32(0.1))]
    assert row_of(spaces.Discrete(3, start=-1), np.int64(1)) == [0, 0, 1]
    assert row_of(spaces.MultiDiscrete([2, 3]), np.array([1, 0])) == [0, 1, 1, 0, 0]
    assert row_of(spaces.MultiBinary(3), np.array([1, 0, 1], np.int8)) == [1, 0, 1]
    nested = spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Tuple((spaces.Box(0, 1, (2,)), spaces.MultiBinary(1)))})
    observation = {"a": 1, "b": (np.array([0.25, 0.5], np.float32), np.array([1], np.int8))}
    assert row_of(nested, observation) == [0, 1, 0.25, 0.5, 1]


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_told_by_name_and_written_as_gymnasium_flattens_them(seed: int) -> None:
    space = spaces.Dict(
        {
            "picture": spaces.Box(0, 255, (2, 3), np.uint8),
            "arm": spaces.Tuple((spaces.Discrete(3, start=-1), spaces.MultiDiscrete([2, 3]))),
            "bits": spaces.MultiBinary([2, 2]),
        }
    )
    space.seed(seed)
    observation = space.sample()
    flat: Any = spaces.flatten(space, observation)
    assert row_of(space, observation) == flat.astype(np.float32).tolist()
    told = Observations(space).described["Dict"]
    # Gymnasium keeps its parts sorted by name.
    assert [name for name, _ in told] == ["arm", "bits", "picture"]
    assert told[0][1] == {"Tuple": [{"Discrete": 3}, {"MultiDiscrete": [2, 3]}]}
    assert told[2][1]["Box"]["shape"] == [2, 3]
    del observation["bits"]
    with pytest.raises(Refusal, match="no part 'bits'"):
        row_of(space, observation)
    with pytest.raises(Refusal, match="has no form"):
        Observations(spaces.Dict({}))


@pytest.mark.parametrize(
    ("space", "mask", "row"),
    [
        (spaces.Discrete(3), np.array([1, 0, 1], np.int8), [1, 0, 1]),
        (spaces.MultiDiscrete([2, 3]), (np.array([1, 0]), np.array([0, 1, 1])), [1, 0, 0, 1, 1]),
        (spaces.MultiDiscrete([2, 3]), np.array([True, False, False, True, True]), [1, 0, 0, 1, 1]),
        # Of each bit: may it be 0, may it be 1.
        (spaces.MultiBinary(2), np.array([1, 0, 1, 1], np.int8), [1, 0, 1, 1]),
        # 0: it must be 0; 1: it must be 1; 2: either.
        (spaces.MultiBinary(3), np.array([0, 1, 2], np.int8), [1, 0, 0, 1, 1, 1]),
    ],
)
def test_masks_become_one_flag_a_choice(space: spaces.Space[Any], mask: Any, row: list[int]) -> None:
    written = np.full(len(row), 7, np.uint8)
    Actions(space).write_mask(written, mask)
    assert written.tolist() == row
    with pytest.raises(Refusal, match="has 7 elements"):
        Actions(space).write_mask(written, np.ones(7))


def test_spaces_that_are_no_rows_are_named() -> None:
    for space in (spaces.Text(5), spaces.Sequence(spaces.Discrete(2)), spaces.Dict({"t": spaces.Text(5)})):
        with pytest.raises(Refusal, match=r"observation space.* has .*no form") as refusal:
            Observations(space)
        assert "Text" in str(refusal.value) or "Sequence" in str(refusal.value)
    for other in (spaces.Box(0, 255, (2,), np.uint8), spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3)))):
        with pytest.raises(Refusal, match="action space"):
            Actions(other)


def test_observations_of_another_shape_are_refused() -> None:
    box = spaces.Box(-1, 1, (2,))
    for wrong in (np.zeros(3, np.float32), np.float32(0.0), np.zeros((1, 2)), [0.0]):
        with pytest.raises(Refusal, match=r"has shape .* its space says \[2\]"):
            row_of(box, wrong)
    assert row_of(box, [0.5, 1.0]) == [0.5, 1.0]
    for index in (3, -1):
        with pytest.raises(Refusal, match="is not in Discrete"):
            row_of(spaces.Discrete(3), index)


@pytest.mark.parametrize(
    ("space", "row", "expected"),
    [
        (spaces.Discrete(3), [2], 2),
        (spaces.Discrete(3, start=-1), [2], 1),
        (spaces.MultiDiscrete([2, 3], start=[0, 10]), [1, 2], [1, 12]),
        (spaces.MultiDiscrete(np.array([[2, 3]])), [1, 2], [[1, 2]]),
        (spaces.MultiBinary([2, 2]), [1, 0, 0, 1], [[1, 0], [0, 1]]),
        (spaces.Box(-2, 2, (2, 1), np.float64), [0.5, 1.5], [[0.5], [1.5]]),
    ],
)
def test_rows_become_actions(space: spaces.Space[Any], row: Any, expected: Any) -> None:
    actions = Actions(space)
    cells = np.array(row, np.int64 if actions.discrete else np.float32)
    action = actions.read(cells)
    assert space.contains(action), (space, action)
    assert np.array_equal(action, expected)
    (of_all,) = actions.reader(cells[None])()
    assert space.contains(of_all) and type(of_all) is type(action) and np.array_equal(of_all, expected)
    # It is the environment's to keep.
    cells[:] = 0
    assert np.array_equal(action, expected) and np.array_equal(of_all, expected)


def test_a_structure_of_reals_is_one_action() -> None:
    space = spaces.Dict({"x": spaces.Box(-1, 1, (2,)), "y": spaces.Box(0, 1, (1,))})
    action = Actions(space).read(np.array([0.5, -0.5, 1.0], np.float32))
    assert space.contains(action)
    assert (action["x"].tolist(), action["y"].tolist()) == ([0.5, -0.5], [1.0])


def test_bounds_are_told_in_single_precision() -> None:
    box = spaces.Box(np.array([-np.inf, -1.7e308]), np.array([0.1, 2.0]), dtype=np.float64)
    told = Observations(box).described["Box"]
    assert told["low"] == "-inf"
    assert np.array(told["high"].split(), np.float32).tolist() == [np.float32(0.1), 2.0]


# ---- environments


def test_episodes_begin_by_themselves_and_are_seeded_once() -> None:
    host = Singles(config(kwargs={"end": 3}))
    assert (host.description["max_episode_steps"], host.description["draws"]) == (5, False)
    rows = attach(host)
    rows.seeds[:] = [7, 8]
    host.reset(seeded=True)
    assert rows.observations[:, 0].tolist() == [0, 0]
    rows.actions[:] = [[0], [1]]
    for t in range(1, 7):
        host.step()
        assert rows.rewards.tolist() == [((t - 1) % 3 + 1) / 10] * 2
        if t % 3 == 0:
            assert rows.ends.tolist() == [TERMINATED] * 2
            assert rows.final_observations[:, 0].tolist() == [3, 3]
            assert rows.observations[:, 0].tolist() == [0, 0]
        else:
            assert rows.ends.tolist() == [CONTINUES] * 2
            assert rows.observations[:, 0].tolist() == [t % 3] * 2
    assert [env.unwrapped.seeds for env in host.envs] == [[7, None, None], [8, None, None]]
    assert [env.unwrapped.actions for env in host.envs] == [[5] * 6, [6] * 6]


def test_a_time_limit_truncates() -> None:
    rows = attach(host := Singles(config(kwargs={"end": 9})))
    host.reset(seeded=True)
    for _ in range(5):
        host.step()
    assert rows.ends.tolist() == [TRUNCATED] * 2
    # The limit on the very step that terminates: terminated.
    rows = attach(host := Singles(config(kwargs={"end": 5})))
    host.reset(seeded=True)
    for _ in range(5):
        host.step()
    assert rows.ends.tolist() == [TERMINATED] * 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_observations_of_every_kind_are_copied_and_checked(dtype: Any) -> None:
    class Kinds(Counting):
        observation_space = spaces.Box(0, 100, (2,), dtype)
        given: Any = None

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            return np.zeros(2, dtype), super().reset(seed=seed)[1]

        def step(self, action: Any) -> Any:
            _, *rest = super().step(action)
            return (self.given, *rest)

    gym.register("Kinds-v0", lambda **kwargs: Kinds(**kwargs), disable_env_checker=True)
    try:
        rows = attach(host := Singles(config(id="Kinds-v0", kwargs={"end": 100})))
    finally:
        gym.registry.pop("Kinds-v0")
    host.reset(seeded=True)
    one, other = (env.unwrapped for env in host.envs)
    other.given = np.array([3, 4], dtype)
    # As its space says, every other kind of number, without NumPy, and as a part of something larger.
    for given in (
        np.array([1, 2], dtype),
        np.array([1, 2], np.int16),
        np.array([1, 2], np.float64),
        [1, 2],
        np.array([[1, 9], [2, 9]], dtype)[:, 0],
    ):
        rows.observations[:] = 7.0
        one.given = given
        host.step()
        assert rows.observations.tolist() == [[1, 2], [3, 4]], given
    for wrong in (np.zeros(3, dtype), np.zeros((1, 2), dtype), dtype(1)):
        one.given, other.given = np.array([1, 2], dtype), wrong
        with pytest.raises(Refusal, match=r"its space says \[2\]"):
            host.step()
        assert host.current == 1


def test_alone_it_stays_where_its_episode_ends() -> None:
    rows = attach(host := Singles(config(n=1, autoreset=False)))
    host.reset(seeded=True)
    for _ in range(3):
        host.step()
    assert (rows.ends.tolist(), rows.observations.tolist()) == ([TERMINATED], [[3.0]])
    host.reset(seeded=False)
    assert (rows.ends.tolist(), rows.observations.tolist()) == ([CONTINUES], [[0.0]])


def test_masks_are_carried() -> None:
    rows = attach(host := Singles(config(kwargs={"masked": True})))
    host.reset(seeded=True)
    assert (rows.has_masks.tolist(), rows.masks.tolist()) == ([1, 1], [[1, 0], [1, 0]])
    host.step()
    assert rows.masks.tolist() == [[1, 1], [1, 1]]


class Methodical(gym.Wrapper[Any, Any, Any, Any]):
    """Masks by a method, as sb3-contrib's MaskablePPO asks for them."""

    def action_masks(self) -> Any:
        return np.array([False, True])


def test_masks_may_come_from_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rl_gym_making, "find", lambda name, what: Methodical)
    rows = attach(host := Singles(config(wrappers=["here:Methodical"])))
    host.reset(seeded=True)
    host.step()
    assert (rows.has_masks.tolist(), rows.masks.tolist()) == ([1, 1], [[0, 1], [0, 1]])


def test_returns_of_whole_episodes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def clipped(env: Any) -> Any:
        return gym.wrappers.TransformReward(
            gym.wrappers.RecordEpisodeStatistics(env), lambda reward: np.sign(float(reward))
        )

    monkeypatch.setattr(rl_gym_making, "find", lambda name, what: clipped)
    host = Singles(config(wrappers=["here:clipped"]))
    assert host.description["statistics"]
    rows = attach(host)
    host.reset(seeded=True)
    told = []
    for _ in range(4):
        host.step()
        assert rows.rewards.tolist() == [1.0, 1.0]
        told.append(rows.episodes[0].tolist())
    assert told == [[0, 0], [0, 0], [pytest.approx(0.6), 3], [0, 0]]


class Telling(gym.Wrapper[Any, Any, Any, Any]):
    """Tells how far it is at every step, and at the end whether it is there."""

    def reset(self, **kwargs: Any) -> Any:
        observation, _ = self.env.reset(**kwargs)
        return observation, {"far": -1.0, "there": "not yet"}

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, _ = self.env.step(action)
        info: dict[str, Any] = {"far": np.float32(observation[0])}
        if terminated:
            info["there"] = np.bool_(True)
        return observation, reward, terminated, truncated, info


# Of three steps of an episode and one of the next: how far, and whether there; NaN where nothing is told.
TOLD = [[1.0, None], [2.0, None], [3.0, 1.0], [1.0, None]]


def told(row: Any) -> list[float | None]:
    return [None if np.isnan(x) else float(x) for x in row]


def test_numbers_and_flags_of_info_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rl_gym_making, "find", lambda name, what: Telling)
    rows = attach(host := Singles(config(wrappers=["here:Telling"], info=["far", "there"])))
    host.reset(seeded=True)
    # What a reset tells is no step's.
    assert np.isnan(rows.metrics).all()
    seen = []
    for _ in range(4):
        host.step()
        assert told(rows.metrics[0]) == told(rows.metrics[1])
        seen.append(told(rows.metrics[1]))
    assert seen == TOLD


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_vectors_of_others_tell_the_same_of_info(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gym.register("Telling-v0", lambda **kwargs: Telling(Counting(**kwargs)), disable_env_checker=True)
    kwargs = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": mode}}
    # Flags that come and go beside words in a reset are no array of anything: those are left out here.
    monkeypatch.setattr(Telling, "reset", lambda self, **kwargs: (self.env.reset(**kwargs)[0], {"far": -1.0}))
    rows = attach(host := Vector(config(id="Telling-v0", n=2, kwargs=kwargs, info=["far", "there"])))
    host.reset(seeded=True)
    assert np.isnan(rows.metrics).all()
    seen = []
    while len(seen) < 4:
        host.step()
        if rows.valid[1]:
            seen.append(told(rows.metrics[1]))
    gym.registry.pop("Telling-v0")
    assert seen == TOLD


@pytest.mark.parametrize("value", ["far", None, float("nan"), 10**400, [1.0], np.zeros(2), 1j])
def test_what_is_no_number_in_info_is_refused(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(Telling):
        def step(self, action: Any) -> Any:
            return *self.env.step(action)[:4], {"far": value}

    monkeypatch.setattr(rl_gym_making, "find", lambda name, what: Wrong)
    attach(host := Singles(config(wrappers=["here:Wrong"], info=["far"])))
    host.reset(seeded=True)
    with pytest.raises(Refusal, match=r"info\['far'\] is .* no finite number or flag") as refused:
        host.step()
    assert (refused.value.kind, host.current) == ("shape", 0)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_vectors_of_others_are_read_in_every_mode(mode: str) -> None:
    host = Vector(config(n=3, kwargs={"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": mode}}))
    rows = attach(host)
    rows.seeds[:] = [1, 2, 3]
    host.reset(seeded=True)
    seen = []
    for _ in range(8):
        host.step()
        seen.append((rows.valid[0], rows.ends[0], rows.observations[0, 0], rows.final_observations[0, 0]))
    one = [(1, CONTINUES, 1.0), (1, CONTINUES, 2.0), (1, TERMINATED, 0.0)]
    if mode == "NextStep":
        # The final observation stands where the next first one does elsewhere, and a step passes that is none.
        one = [*one[:2], (1, TERMINATED, 3.0), (0, CONTINUES, 0.0)]
    assert [step[:3] for step in seen] == (one * 3)[:8]
    assert all(final == 3.0 for _, end, _, final in seen if end == TERMINATED)


def test_a_vector_of_its_own_kind_is_seeded_as_one() -> None:
    observations = []
    for seeds in ([5, 6], [5, 7], [6, 6]):
        rows = attach(host := Vector(config(id="CartPole-v1")))
        assert (host.mode, host.takes_seeds) == ("next_step", False)
        rows.seeds[:] = seeds
        host.reset(seeded=True)
        rows.actions[:] = [[0], [1]]
        host.step()
        observations.append(rows.observations.copy())
    assert np.array_equal(observations[0], observations[1]) and not np.array_equal(observations[0], observations[2])


def test_a_vector_that_says_nothing_of_its_episodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(**kwargs: Any) -> Any:
        env = gym.make_vec("Counting-v0", **kwargs)
        env.metadata = {}
        return env

    module = type(sys)("silent_module")
    module.make = silent  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "silent_module", module)
    with pytest.raises(Refusal, match="autoreset_mode"):
        Vector(config(module="silent_module", id="make"))


# ---- errors of making


@pytest.mark.parametrize(
    ("more", "kind", "part"),
    [
        ({"id": "Countin-v0"}, "unknown", "did you mean 'Counting-v0'"),
        ({"id": "Counting-v7"}, "unknown", "Counting-v0"),
        ({"module": "no_such_module"}, "module", "no module 'no_such_module'"),
        ({"wrappers": ["nothing"]}, "module", "expected module:function"),
        ({"wrappers": ["json:nothing"]}, "module", "has no function 'nothing'"),
    ],
)
def test_what_cannot_be_made_is_said(more: dict[str, Any], kind: str, part: str) -> None:
    with pytest.raises(Refusal, match=part) as refusal:
        Singles(config(**more))
    assert refusal.value.kind == kind


def test_a_missing_dependency_is_said_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise gym.error.DependencyNotInstalled("Box2D is not installed, you can install it by `pip install swig`")

    monkeypatch.setattr(gym, "make", missing)
    with pytest.raises(Refusal, match="pip install swig") as refusal:
        Singles(config())
    assert refusal.value.kind == "dependency"


def test_which_mujoco_fits_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise gym.error.DependencyNotInstalled('MuJoCo is not installed, run `pip install "gymnasium[mujoco]"`')

    def too_new(*_: Any, **__: Any) -> Any:
        raise AttributeError("module 'mujoco' has no attribute 'MjModel'")

    monkeypatch.setattr(gym, "make", missing)
    with pytest.raises(Refusal, match=r"MuJoCo is not installed.*; .*pip install 'mujoco<4'"):
        Singles(config(id="Hopper-v5"))
    monkeypatch.setattr(gym, "make", too_new)
    monkeypatch.setattr("importlib.metadata.version", lambda _: "4.1.0")
    with pytest.raises(Refusal, match=r"Hopper-v5 with mujoco 4.1.0: module 'mujoco'.*'mujoco<4'"):
        Singles(config(id="Hopper-v5"))
    # Another environment's error is its own.
    with pytest.raises(AttributeError):
        Singles(config())
    monkeypatch.setattr("importlib.metadata.version", lambda _: "3.2.0")
    with pytest.raises(AttributeError):
        Singles(config(id="Hopper-v5"))


# ---- Atari


def test_atari_games_are_preprocessed_as_stable_baselines_does() -> None:
    pytest.importorskip("ale_py", reason="ale-py is not installed")
    pytest.importorskip("cv2", reason="opencv-python is not installed")
    host = Singles(config(id="ALE/Breakout-v5", wrappers=["atari"], n=1))
    told = host.description["observation_space"]["Box"]
    assert (told["shape"], told["low"], told["high"]) == ([4, 84, 84], "0.0", "255.0")
    assert host.description["statistics"]
    rows = attach(host)
    rows.seeds[:] = [3]
    host.reset(seeded=True)
    game = host.envs[0].unwrapped.ale
    assert host.envs[0].unwrapped._frameskip == 1 and game.getFloat("repeat_action_probability") == 0.0
    # Black pictures stand before the first one; values are not scaled.
    picture = rows.observations.reshape(4, 84, 84)
    assert not picture[:3].any() and picture[3].max() > 1.0
    # Up to 30 frames without an action, FIRE, and the action after it that Stable-Baselines3 takes.
    begun = game.getEpisodeFrameNumber()
    assert 1 + 8 <= begun <= 30 + 8
    rng = np.random.default_rng(0)
    lives, lost, rewards, episodes = game.lives(), 0, 0.0, []
    assert lives == 5
    for _ in range(1500):
        before, shown = game.getEpisodeFrameNumber(), picture.copy()
        rows.actions[:] = rng.integers(4)
        host.step()
        assert rows.rewards[0] in (-1.0, 0.0, 1.0)
        rewards += rows.rewards[0]
        if rows.ends[0] == CONTINUES:
            assert game.getEpisodeFrameNumber() == before + 4 and game.lives() == lives
            assert np.array_equal(picture[:3], shown[1:])
            assert rows.episodes[0, 1] == 0
            continue
        assert rows.ends[0] == TERMINATED
        lost += 1
        if rows.episodes[0, 1] == 0:
            # One life less, in the same game.
            assert game.lives() == lives - 1 and game.getEpisodeFrameNumber() > before
        else:
            # All of them: the game began anew, and tells its own return, which clipped rewards are at most.
            assert lost % 5 == 0 and game.lives() == 5 and game.getEpisodeFrameNumber() < before
            episodes.append(tuple(rows.episodes[0]))
            assert episodes[-1][0] >= rewards and episodes[-1][1] > 100
            rewards = 0.0
        lives = game.lives()
    assert len(episodes) >= 2


def test_other_spaces_than_the_first_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def changing(_: dict[str, Any]) -> Any:
        env = Counting()
        env.action_space = spaces.Discrete(2 + len(made))
        made.append(env)
        return env

    monkeypatch.setattr(rl_gym_hosts, "make_single", changing)
    with pytest.raises(Refusal, match="other spaces"):
        Singles(config())


# ---- the process


def start() -> subprocess.Popen[bytes]:
    main = "import rl_gym_worker; rl_gym_worker.main()"
    here = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, "-c", main], cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


def message(content: Any) -> bytes:
    data = json.dumps(content).encode()
    return struct.pack("=I", len(data)) + data


def test_the_process_lists_what_is_registered_and_ends() -> None:
    worker = start()
    out, _ = worker.communicate(message(config(task="list", vector=False)), timeout=60)
    (length,) = struct.unpack("=I", out[1:5])
    listed = json.loads(out[5 : 5 + length])["envs"]
    assert out[:1] == b"{" and worker.returncode == 0
    assert {"id": "CartPole-v1", "max_episode_steps": 500, "reward_threshold": 475.0} in listed


def test_the_process_ends_when_nobody_listens() -> None:
    worker = start()
    assert worker.stdin is not None and worker.stdout is not None
    os.write(worker.stdin.fileno(), message(config(task="make", vector=False, id="CartPole-v1")))
    assert worker.stdout.read(1) == b"{"
    worker.stdin.close()
    assert worker.wait(timeout=20) == 0


def test_the_guard_ends_what_does_not_end_by_itself() -> None:
    # Neither the process nor the one it has started heeds the end of its standard input.
    program = (
        "import subprocess, time, rl_gym_guard; rl_gym_guard.GRACE_SECONDS = 0.2; rl_gym_guard.guard(0); "
        "print(subprocess.Popen(['sleep', '1000']).pid, flush=True); time.sleep(1000)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert worker.stdin is not None and worker.stdout is not None
    child = int(worker.stdout.readline())
    worker.stdin.close()
    assert worker.wait(timeout=20) == -9
    deadline = time.monotonic() + 20
    while runs(child):
        assert time.monotonic() < deadline, "the process that it has started is left"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
