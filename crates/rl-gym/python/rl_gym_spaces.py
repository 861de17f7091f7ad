"""How the spaces of Gymnasium are told, and how their elements become rows of numbers and rows become elements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

np: Any = None
gym: Any = None
IMPORT_ERROR: Exception | None = None
try:
    import gymnasium as gym
    import numpy as np
except Exception as error:
    IMPORT_ERROR = error


# The most choices for which the indices are made beforehand.
MOST_KEPT_INDICES = 4096


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
        # The kind of number, as `struct` calls it, where observations already are rows of reals.
        self.flat_format: str | None = None
        spaces = gym.spaces
        self.described = described(space)
        if isinstance(space, spaces.Box):
            self.shape = space.shape
            if len(space.shape) == 1:
                self.flat_format = {"float32": "f", "float64": "d"}.get(space.dtype.name)
        elif isinstance(space, spaces.Discrete):
            self.offset = int(space.start)
            self.write = self.write_index  # type: ignore[method-assign]
        elif isinstance(space, (spaces.Dict, spaces.Tuple)) and self.described is not None:
            self.parts = list(self.placed_parts())
            self.write = self.write_parts  # type: ignore[method-assign]
        elif self.described is not None:
            self.flatten = gym.spaces.flatten
            self.write = self.write_flattened  # type: ignore[method-assign]
        else:
            refuse_unflattenable(space)

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

    def placed_parts(self) -> Iterator[tuple[Any, Observations, slice, tuple[int, ...]]]:
        """Of each part: its key in an observation, how it becomes numbers, where those stand, and in which shape."""
        named = self.space.spaces
        at = 0
        for key, part in named.items() if isinstance(named, dict) else enumerate(named):
            length = gym.spaces.flatdim(part)
            of_part = Observations(part)
            shape = (length,) if of_part.shape is None else of_part.shape
            yield key, of_part, slice(at, at + length), shape
            at += length

    def write_parts(self, row: Any, observation: Any) -> None:
        try:
            for key, part, cells, shape in self.parts:
                part.write(row[cells].reshape(shape), observation[key])
        except (KeyError, IndexError, TypeError) as e:
            raise Refusal("shape", f"the observation has no part {key!r}, as its space {self.space} says") from e

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
        self.described = described(space)
        if isinstance(space, spaces.Discrete):
            self.start = np.int64(space.start)
            self.read: Callable[[Any], Any] = self.read_index if self.start else self.read_index_from_zero
        elif isinstance(space, spaces.MultiDiscrete):
            self.start = np.asarray(space.start).ravel()
            self.read = self.read_indices
        elif isinstance(space, spaces.MultiBinary):
            self.read = self.read_bits
        elif isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
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

    def reader(self, rows: Any) -> Callable[[], list[Any]]:
        """What reads the actions of all rows, as often as it is called."""
        if isinstance(self.space, gym.spaces.Discrete) and self.space.n <= MOST_KEPT_INDICES:
            # Indices never change, so that the same objects serve every time.
            known = [np.int64(self.start) + np.int64(k) for k in range(int(self.space.n))]
            column = rows[:, 0]
            return lambda: [known[k] for k in column.tolist()]
        if self.read == self.read_reals:
            # One fresh array, of which each keeps its part.
            dtype, shape = self.space.dtype, (len(rows), *self.space.shape)
            return lambda: list(rows.astype(dtype).reshape(shape))
        return lambda: [self.read(row) for row in rows]

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

    def write_mask(self, row: Any, mask: Any) -> None:
        """Writes a mask: one flag a choice, dimension by dimension where the mask is a tuple of them.

        Of a bit of a `MultiBinary` there are two, whether it may be 0 and whether it may be 1 (as sb3-contrib has it),
        or one number (as `MultiBinary.sample` has it): 0 or 1 where it must be that, 2 where it may be either.
        """
        parts = mask if isinstance(mask, tuple) else (mask,)
        flat = np.concatenate([np.ravel(part) for part in parts])
        if isinstance(self.space, gym.spaces.MultiBinary) and 2 * flat.size == row.size:
            flat = np.stack([flat != 1, flat != 0], axis=1).ravel()
        if flat.shape != row.shape:
            raise Refusal("shape", f"the action mask has {flat.size} elements, the action space {row.size} choices")
        row[...] = flat.astype(bool)


def described(space: Any) -> Any:
    """A space as the other side is told of it, its parts as `gymnasium.spaces.flatten` orders them; none for others."""
    spaces = gym.spaces
    if isinstance(space, spaces.Box):
        return describe_box(space)
    if isinstance(space, spaces.Discrete):
        return {"Discrete": int(space.n)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"MultiDiscrete": [int(n) for n in np.asarray(space.nvec).ravel()]}
    if isinstance(space, spaces.MultiBinary):
        return {"MultiBinary": int(np.prod(space.shape))}
    if isinstance(space, spaces.Dict):
        named = [[str(name), described(part)] for name, part in space.spaces.items()]
        return {"Dict": named} if named and all(part is not None for _, part in named) else None
    if isinstance(space, spaces.Tuple):
        parts = [described(part) for part in space.spaces]
        return {"Tuple": parts} if parts and all(part is not None for part in parts) else None
    return None


def leaves(space: Any) -> list[Any]:
    """The spaces that a Dict or Tuple is put together from."""
    if isinstance(space, gym.spaces.Dict):
        return [leaf for inner in space.spaces.values() for leaf in leaves(inner)]
    if isinstance(space, gym.spaces.Tuple):
        return [leaf for inner in space.spaces for leaf in leaves(inner)]
    return [space]


def refuse_unflattenable(space: Any) -> None:
    if described(space) is None and isinstance(space, (gym.spaces.Dict, gym.spaces.Tuple)):
        odd = next((leaf for leaf in leaves(space) if described(leaf) is None), space)
        raise Refusal("space", f"the observation space has a part {odd} that has no form as a row of numbers")
    raise Refusal("space", f"the observation space {space} has no form as a row of numbers")


def describe_box(space: Any) -> dict[str, Any]:
    """A box with its bounds as text, for JSON knows no infinity; a single number where all are the same."""

    def bounds(values: Any) -> str:
        with np.errstate(over="ignore"):
            flat = np.asarray(values).astype(np.float32).ravel()
        same = flat.size > 0 and bool(np.all(flat == flat[0]))
        return " ".join(repr(float(x)) for x in (flat[:1] if same else flat))

    return {"Box": {"shape": list(space.shape), "low": bounds(space.low), "high": bounds(space.high)}}
