"""How the spaces of Gymnasium are told, and how their elements become rows of numbers and rows become elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

np: Any = None
gym: Any = None
IMPORT_ERROR: Exception | None = None
try:
    import gymnasium as gym
    import numpy as np
except Exception as error:
    IMPORT_ERROR = error


class Refusal(Exception):
    """An error that is the user's to mend, told by its kind rather than by a traceback."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Observations:
    """How observations of a space become rows of single-precision reals."""

    def __init__(self, space: Any) -> None:
        self.space = space
        self.shape: tuple[int, ...] | None = None
        self.offset = 0
        spaces = gym.spaces
        if isinstance(space, spaces.Box):
            self.described = describe_box(space)
            self.shape = space.shape
        elif isinstance(space, spaces.Discrete):
            self.described = {"Discrete": int(space.n)}
            self.offset = int(space.start)
            self.write = self.write_index  # type: ignore[method-assign]
        elif isinstance(space, (spaces.MultiBinary, spaces.MultiDiscrete, spaces.Dict, spaces.Tuple)):
            if isinstance(space, (spaces.Dict, spaces.Tuple)):
                refuse_unflattenable("observation", space)
            if isinstance(space, spaces.MultiDiscrete):
                self.described = {"MultiDiscrete": [int(n) for n in np.asarray(space.nvec).ravel()]}
            elif isinstance(space, spaces.MultiBinary):
                self.described = {"MultiBinary": int(np.prod(space.shape))}
            else:
                self.described = describe_box(gym.spaces.flatten_space(space))
            self.flatten = gym.spaces.flatten
            self.write = self.write_flattened  # type: ignore[method-assign]
        else:
            raise Refusal("space", f"the observation space {space} has no form as a row of numbers")

    def write(self, row: Any, observation: Any) -> None:
        if type(observation) is not np.ndarray or observation.shape != self.shape:
            observation = np.asarray(observation)
            if observation.shape != self.shape:
                raise Refusal(
                    "shape",
                    f"the observation has shape {list(observation.shape)}, its space says {list(self.shape or ())}",
                )
        row[...] = observation

    def write_index(self, row: Any, observation: Any) -> None:
        index = int(observation) - self.offset
        if not 0 <= index < len(row):
            raise Refusal("shape", f"the observation {observation} is not in {self.space}")
        row[:] = 0.0
        row[index] = 1.0

    def write_flattened(self, row: Any, observation: Any) -> None:
        flat = self.flatten(self.space, observation)
        if flat.shape != row.shape:
            raise Refusal(
                "shape", f"the observation flattens to {list(flat.shape)} numbers, its space to {list(row.shape)}"
            )
        row[...] = flat


class Actions:
    """How rows of indices or reals become actions of a space: a fresh object each, for an environment may keep it."""

    def __init__(self, space: Any) -> None:
        self.space = space
        spaces = gym.spaces
        self.discrete = True
        self.start: Any = 0
        if isinstance(space, spaces.Discrete):
            self.described: dict[str, Any] = {"Discrete": int(space.n)}
            self.start = np.int64(space.start)
            self.read: Callable[[Any], Any] = self.read_index if self.start else self.read_index_from_zero
        elif isinstance(space, spaces.MultiDiscrete):
            self.described = {"MultiDiscrete": [int(n) for n in np.asarray(space.nvec).ravel()]}
            self.start = np.asarray(space.start).ravel()
            self.read = self.read_indices
        elif isinstance(space, spaces.MultiBinary):
            self.described = {"MultiBinary": int(np.prod(space.shape))}
            self.read = self.read_bits
        elif isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
            self.described = describe_box(space)
            self.discrete = False
            self.read = self.read_reals
        elif isinstance(space, (spaces.Dict, spaces.Tuple)) and all(
            isinstance(leaf, spaces.Box) and np.issubdtype(leaf.dtype, np.floating) for leaf in leaves(space)
        ):
            self.described = describe_box(spaces.flatten_space(space))
            self.discrete = False
            self.read = self.read_structure
        else:
            raise Refusal("space", f"the action space {space} is none that a policy can act in")

    def read_all(self, rows: Any) -> list[Any]:
        """The actions of all rows."""
        if self.read == self.read_index_from_zero:
            return list(rows[:, 0])
        if self.read == self.read_reals:
            # One fresh array, of which each keeps its part.
            return list(rows.astype(self.space.dtype).reshape(len(rows), *self.space.shape))
        return [self.read(row) for row in rows]

    def read_index_from_zero(self, row: Any) -> Any:
        return row[0]

    def read_index(self, row: Any) -> Any:
        return row[0] + self.start

    def read_indices(self, row: Any) -> Any:
        return (row + self.start).astype(self.space.dtype).reshape(self.space.shape)

    def read_bits(self, row: Any) -> Any:
        return row.astype(self.space.dtype).reshape(self.space.shape)

    def read_reals(self, row: Any) -> Any:
        return row.astype(self.space.dtype).reshape(self.space.shape)

    def read_structure(self, row: Any) -> Any:
        return gym.spaces.unflatten(self.space, row.copy())


def leaves(space: Any) -> list[Any]:
    """The spaces that a Dict or Tuple is put together from."""
    if isinstance(space, gym.spaces.Dict):
        return [leaf for inner in space.spaces.values() for leaf in leaves(inner)]
    if isinstance(space, gym.spaces.Tuple):
        return [leaf for inner in space.spaces for leaf in leaves(inner)]
    return [space]


def refuse_unflattenable(what: str, space: Any) -> None:
    spaces = gym.spaces
    for leaf in leaves(space):
        if not isinstance(leaf, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
            raise Refusal("space", f"the {what} space has a part {leaf} that has no form as a row of numbers")


def describe_box(space: Any) -> dict[str, Any]:
    """A box with its bounds as text, for JSON knows no infinity; a single number where all are the same."""

    def bounds(values: Any) -> str:
        with np.errstate(over="ignore"):
            flat = np.asarray(values).astype(np.float32).ravel()
        same = flat.size > 0 and bool(np.all(flat == flat[0]))
        return " ".join(repr(float(x)) for x in (flat[:1] if same else flat))

    return {"Box": {"shape": list(space.shape), "low": bounds(space.low), "high": bounds(space.high)}}
