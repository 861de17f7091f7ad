"""Environments that can be stepped on command, their rows in memory that two processes see."""

from __future__ import annotations

import math
import struct
import sys
import time
from typing import Any, Protocol

from rl_gym_making import describe, keeps_statistics, make_single, make_vector
from rl_gym_spaces import Actions, Observations, Refusal, gym, np

CONTINUES, TERMINATED, TRUNCATED = 0, 1, 2
# What the measurement of a step's duration may take, in the process that only describes an environment.
MEASURED_STEPS, MEASURED_SECONDS = 200, 0.2
NEVER = sys.maxsize
# What no environment tells.
ABSENT: Any = object()
# How many steps `PassiveEnvChecker` looks at.
CHECKED_STEPS = 2


class Host(Protocol):
    """Environments, however they are stepped."""

    description: dict[str, Any]
    current: int

    def attach(self, memory: memoryview, layout: dict[str, int]) -> None: ...
    def reset(self, seeded: bool) -> None: ...
    def step(self) -> None: ...
    def render(self, index: int) -> Any: ...
    def close(self) -> None: ...


class Rows:
    """The rows of every environment in the memory that both processes see."""

    def __init__(
        self, memory: memoryview, layout: dict[str, int], observations: Observations, actions: Actions
    ) -> None:
        discrete, shape = actions.discrete, observations.shape
        flat_format: Any = observations.flat_format
        n = layout["n"]

        def view(name: str, dtype: Any, width: int) -> Any:
            return np.frombuffer(memory, dtype, n * width, layout[name]).reshape(n, width)

        o, a, m = layout["observation_len"], layout["action_len"], layout["mask_len"]
        self.memory, self.n = memory, n
        self.ends_at = slice(layout["ends"], layout["ends"] + n)
        self.rewards_at, self.reward_format = layout["rewards"], struct.Struct(f"={n}d")
        self.seeds = view("seeds", np.uint64, 1)[:, 0]
        self.actions = view("actions", np.int64 if discrete else np.float32, a)
        self.observations = view("observations", np.float32, o)
        self.final_observations = view("final_observations", np.float32, o)
        self.rewards = view("rewards", np.float64, 1)[:, 0]
        self.ends = view("ends", np.uint8, 1)[:, 0]
        self.valid = view("valid", np.uint8, 1)[:, 0]
        self.masks = view("masks", np.uint8, m)
        self.has_masks = view("has_masks", np.uint8, 1)[:, 0]
        self.episodes = view("episodes", np.float64, 2)
        self.metrics = view("metrics", np.float64, layout["metric_len"])
        shape = (o,) if shape is None else shape
        self.observation_rows = [row.reshape(shape) for row in self.observations]
        self.final_rows = [row.reshape(shape) for row in self.final_observations]
        # Rows for what is copied without NumPy, which refuse another length or kind of number; and what those of double
        # precision are narrowed from, all at once.
        self.wide = np.zeros((n, o)) if flat_format == "d" else None
        copied = memory[layout["observations"] : layout["observations"] + 4 * n * o]
        numbers = (copied if self.wide is None else memoryview(self.wide).cast("B")).cast(flat_format or "f")
        self.cells = [numbers[i * o : (i + 1) * o] for i in range(n)]
        self.cell_rows = self.observation_rows if self.wide is None else list(self.wide)
        self.action_rows = list(self.actions)


def number(key: str, value: Any) -> float:
    """A number or a flag of `info`."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating):
        try:
            if math.isfinite(x := float(value)):
                return x
        except OverflowError:
            pass
    raise Refusal("shape", f"info[{key!r}] is {repr(value)[:80]}, and no finite number or flag")


class Singles:
    """Environments that are stepped one after the other and start their next episode at once."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.current = 0
        self.autoreset: bool = config["autoreset"]
        self.info_keys: list[str] = config["info"]
        self.envs: list[Any] = []
        for self.current in range(config["n"]):
            self.envs.append(make_single(config))
        env = self.envs[0]
        self.space_of_observations = Observations(env.observation_space)
        self.space_of_actions = Actions(env.action_space)
        for self.current, other in enumerate(self.envs):
            if other.observation_space != env.observation_space or other.action_space != env.action_space:
                raise Refusal("space", "the environment has other spaces than the first one")
        self.description = describe(env, self.space_of_observations, self.space_of_actions)
        self.description["statistics"] = keeps_statistics(env)
        self.statistics = self.description["statistics"]
        self.limits, self.inner = zip(*(without_transparent(one) for one in self.envs), strict=True)
        # The first steps go through all wrappers: Gymnasium's own check of an environment looks at those.
        self.stepped: list[Any] = list(self.envs)
        self.steps: Any = [one.step for one in self.envs]
        self.taken = 0
        self.deadlines = [NEVER] * len(self.envs)
        try:
            self.masks_of = [one.get_wrapper_attr("action_masks") for one in self.envs]
        except AttributeError:
            self.masks_of = []

    def measure(self) -> None:
        """Says how long a step takes, of random actions in an environment that nobody learns from.

        What goes wrong on the way is told when it goes wrong again, with its place.
        """
        try:
            self.description["step_seconds"] = self.measured()
        except Exception:
            self.description["step_seconds"] = None

    def measured(self) -> float:
        env = self.envs[0]
        env.reset(seed=0)
        env.action_space.seed(0)
        durations: list[float] = []
        begun = time.perf_counter()
        while len(durations) < MEASURED_STEPS and time.perf_counter() - begun < MEASURED_SECONDS:
            action = env.action_space.sample()
            before = time.perf_counter()
            _, _, terminated, truncated, _ = env.step(action)
            durations.append(time.perf_counter() - before)
            if terminated or truncated:
                env.reset()
        return sorted(durations)[len(durations) // 2]

    def attach(self, memory: memoryview, layout: dict[str, int]) -> None:
        self.rows = Rows(memory, layout, self.space_of_observations, self.space_of_actions)
        self.rows.valid[:] = 1
        self.has_masks = bool(self.masks_of)
        self.read_actions = self.space_of_actions.reader(self.rows.actions)
        self.no_ends = bytes(self.rows.n)

    def reset(self, seeded: bool) -> None:
        rows = self.rows
        rows.ends[:] = CONTINUES
        rows.rewards[:] = 0.0
        rows.metrics[:] = np.nan
        for i, env in enumerate(self.envs):
            self.current = i
            if seeded:
                seed = int(rows.seeds[i])
                env.action_space.seed(seed)
                observation, info = env.reset(seed=seed)
            else:
                observation, info = env.reset()
            self.space_of_observations.write(rows.observation_rows[i], observation)
            self.has_masks = self.has_masks or "action_mask" in info
            self.note_mask(i, info)
            self.begins(i)
        self.earliest = min(self.deadlines)

    def begins(self, i: int) -> None:
        """An episode of an environment begins with the next step: when its time limit falls."""
        limit = self.limits[i]
        self.deadlines[i] = NEVER if limit is None else self.taken + limit

    def step(self) -> None:
        # The loop that everything waits for: what can be looked up, read or written for all at once is.
        rows, deadlines, plain = self.rows, self.deadlines, np.ndarray
        write, shape = self.space_of_observations.write, self.space_of_observations.shape
        direct = self.space_of_observations.flat_format is not None
        has_masks, statistics, info_keys = self.has_masks, self.statistics, self.info_keys
        self.taken = now = self.taken + 1
        # Whether some time limit falls on this step.
        due = now >= self.earliest
        rewards: list[Any] = []
        rows.memory[rows.ends_at] = self.no_ends
        cells = rows.cells if direct else rows.observation_rows
        try:
            for step, action, cell in zip(self.steps, self.read_actions(), cells, strict=True):
                observation, reward, terminated, truncated, info = step(action)
                if statistics:
                    self.note_episode(len(rewards), info)
                if info_keys:
                    self.note_metrics(len(rewards), info)
                if terminated or truncated or (due and now >= deadlines[len(rewards)]):
                    i = len(rewards)
                    rows.ends[i] = TERMINATED if terminated else TRUNCATED
                    if self.autoreset:
                        write(rows.final_rows[i], observation)
                        observation, info = self.stepped[i].reset(seed=None, options=None)
                        self.begins(i)
                        self.earliest = min(deadlines)
                if direct:
                    try:
                        cell[:] = observation
                    except (TypeError, ValueError):
                        write(rows.cell_rows[len(rewards)], observation)
                elif type(observation) is plain and observation.shape == shape:
                    cell[...] = observation
                else:
                    write(cell, observation)
                if has_masks:
                    self.note_mask(len(rewards), info)
                rewards.append(reward)
        except BaseException:
            # As many are done as there are rewards.
            self.current = len(rewards)
            raise
        if rows.wide is not None:
            rows.observations[...] = rows.wide
        if now == CHECKED_STEPS:
            self.stepped, self.steps = list(self.inner), [one.step for one in self.inner]
        try:
            rows.reward_format.pack_into(rows.memory, rows.rewards_at, *rewards)
        except (TypeError, ValueError, struct.error) as e:
            raise Refusal("shape", f"the rewards {rewards} are not one number each") from e

    def note_episode(self, i: int, info: dict[str, Any]) -> None:
        """Writes the return and length of an episode that has ended, length 0 for none."""
        episode = info.get("episode")
        self.rows.episodes[i] = (0.0, 0.0) if episode is None else (episode["r"], episode["l"])

    def note_metrics(self, i: int, info: dict[str, Any]) -> None:
        """Writes what is asked for of `info`, NaN for what is not there."""
        self.rows.metrics[i] = [number(key, info[key]) if key in info else math.nan for key in self.info_keys]

    def note_mask(self, i: int, info: dict[str, Any]) -> None:
        mask = self.masks_of[i]() if self.masks_of else info.get("action_mask")
        self.rows.has_masks[i] = mask is not None
        if mask is not None:
            self.space_of_actions.write_mask(self.rows.masks[i], mask)

    def render(self, index: int) -> Any:
        return self.envs[index].render()

    def close(self) -> None:
        for env in self.envs:
            env.close()


def without_transparent(env: Any) -> tuple[int | None, Any]:
    """The time limit around an environment, and the environment without that limit and Gymnasium's wrappers that only look on.

    They are those that `gymnasium.make` adds: a step passes through each of them, which a cheap environment notices.
    Whoever steps it counts for the limit instead. Nothing is left out below a wrapper of the user's.
    """
    common = gym.wrappers.common
    limit = None
    if type(env) is common.TimeLimit:
        limit, env = getattr(env, "_max_episode_steps", None), env.env
        if not isinstance(limit, int):
            raise Refusal("space", f"Gymnasium's TimeLimit keeps no number of steps, but {limit!r}")
    while type(env) in (common.OrderEnforcing, common.PassiveEnvChecker):
        env = env.env
    return limit, env


class Vector:
    """A vector environment of somebody else, in whichever of the three ways it starts its next episodes."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.current = 0
        self.n: int = config["n"]
        self.info_keys: list[str] = config["info"]
        self.env = make_vector(config)
        if self.env.num_envs != self.n:
            raise Refusal("space", f"it holds {self.env.num_envs} environments, asked for were {self.n}")
        self.space_of_observations = Observations(self.env.single_observation_space)
        self.space_of_actions = Actions(self.env.single_action_space)
        self.description = describe(self.env, self.space_of_observations, self.space_of_actions)
        # A vector environment of its own kind takes one seed for all.
        vectors = gym.vector
        self.takes_seeds = isinstance(self.env.unwrapped, vectors.SyncVectorEnv | vectors.AsyncVectorEnv)
        mode = self.env.metadata.get("autoreset_mode")
        value = getattr(mode, "value", mode)
        modes = {"SameStep": "same_step", "NextStep": "next_step", "Disabled": "disabled"}
        if value not in modes:
            raise Refusal(
                "space", f'its metadata["autoreset_mode"] is {mode!r}, so nobody can tell where episodes begin'
            )
        self.mode = modes[value]
        self.description["autoreset"] = self.mode

    def attach(self, memory: memoryview, layout: dict[str, int]) -> None:
        self.rows = Rows(memory, layout, self.space_of_observations, self.space_of_actions)
        self.rows.valid[:] = 1
        self.over = np.zeros(self.n, bool)

    def reset(self, seeded: bool) -> None:
        self.over[:] = False
        self.rows.valid[:] = 1
        self.rows.ends[:] = CONTINUES
        self.rows.rewards[:] = 0.0
        self.rows.metrics[:] = np.nan
        seeds: Any = [int(seed) for seed in self.rows.seeds] if seeded else None
        if seeds is not None and not self.takes_seeds:
            seeds = seeds[0]
        observations, infos = self.env.reset(seed=seeds)
        self.write(self.rows.observation_rows, observations)
        self.note_masks(infos)

    def step(self) -> None:
        from gymnasium.vector.utils import concatenate, create_empty_array

        rows = self.rows
        space = self.env.single_action_space
        actions = [self.space_of_actions.read(row) for row in rows.action_rows]
        empty: Any = create_empty_array(space, self.n)
        batch = concatenate(space, actions, empty)
        observations, rewards, terminated, truncated, infos = self.env.step(batch)
        rows.rewards[:] = rewards
        rows.ends[:] = np.where(terminated, TERMINATED, np.where(truncated, TRUNCATED, CONTINUES))
        over = np.logical_or(terminated, truncated)
        self.note_metrics(infos, over)
        if self.mode == "next_step":
            # The step after an end only began the next episode: no transition.
            rows.valid[:] = ~self.over
            rows.ends[self.over] = CONTINUES
            self.write_those(rows.final_rows, observations, over)
            self.over = np.where(self.over, False, over)
        elif over.any():
            if self.mode == "same_step":
                self.write_finals(infos, over)
            else:
                self.write_those(rows.final_rows, observations, over)
                observations, infos = self.env.reset(options={"reset_mask": over})
        self.write(rows.observation_rows, observations)
        self.note_masks(infos)

    def each(self, observations: Any) -> list[Any]:
        from gymnasium.vector.utils import iterate

        return list(iterate(self.env.observation_space, observations))

    def write(self, rows: list[Any], observations: Any) -> None:
        for self.current, observation in enumerate(self.each(observations)):
            self.space_of_observations.write(rows[self.current], observation)

    def write_those(self, rows: list[Any], observations: Any, which: Any) -> None:
        if which.any():
            for self.current, observation in enumerate(self.each(observations)):
                if which[self.current]:
                    self.space_of_observations.write(rows[self.current], observation)

    def write_finals(self, infos: dict[str, Any], over: Any) -> None:
        finals = infos.get("final_obs", infos.get("final_observation"))
        if finals is None:
            raise Refusal("shape", 'an episode ended and its vector environment gave no info["final_obs"]')
        # An array of objects, one an environment; a dictionary of arrays where the vector stacks its observations.
        each = self.each(finals) if isinstance(finals, dict) else finals
        for i in range(self.n):
            self.current = i
            if over[i]:
                self.space_of_observations.write(self.rows.final_rows[i], each[i])

    def note_metrics(self, infos: dict[str, Any], over: Any) -> None:
        """Writes what is asked for of `info`, NaN for what is not there."""
        if not self.info_keys:
            return
        # Where the next episode has begun in the same step, what the last one told stands apart.
        finals = infos.get("final_info") if self.mode == "same_step" else None
        for self.current in range(self.n):
            i = self.current
            source = infos if finals is None or not over[i] else finals
            for k, key in enumerate(self.info_keys):
                value = value_of(source, key, i)
                self.rows.metrics[i, k] = math.nan if value is ABSENT else number(key, value)

    def note_masks(self, infos: dict[str, Any]) -> None:
        masks = infos.get("action_mask")
        self.rows.has_masks[:] = masks is not None
        if masks is None:
            return
        for self.current in range(self.n):
            row = self.rows.masks[self.current]
            if self.over[self.current]:
                # The next action is ignored.
                row[:] = 1
            else:
                self.space_of_actions.write_mask(row, masks[self.current])

    def render(self, index: int) -> Any:
        frames = self.env.render()
        return None if frames is None else frames[index]

    def close(self) -> None:
        self.env.close()


def value_of(infos: Any, key: str, i: int) -> Any:
    """What an environment of a vector told under a key.

    The vector has an array for each key, and one that says who told it; or a list with one dictionary each.
    """
    if not isinstance(infos, dict):
        return (infos[i] or {}).get(key, ABSENT)
    told = infos.get(f"_{key}")
    if key not in infos or (told is not None and not told[i]):
        return ABSENT
    return infos[key][i]
