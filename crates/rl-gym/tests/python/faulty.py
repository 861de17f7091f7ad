"""Environments that go wrong, each in a way of its own; and one with a Dict observation."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Faulty(gym.Env[Any, Any]):
    """Goes on for ever, until `fault` happens at step `at`."""

    observation_space = spaces.Box(-1e9, 1e9, (2,), np.float32)
    action_space = spaces.Discrete(2)
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, fault: str = "none", at: int = 5, render_mode: str | None = None) -> None:
        self.fault, self.at, self.t, self.render_mode = fault, at, 0, render_mode
        if fault == "make":
            raise ValueError("cannot be made")
        if fault.startswith("child"):
            # A process that nobody ends: `close` does not either.
            self.child = subprocess.Popen(["sleep", "1000"])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if self.fault == "reset":
            raise RuntimeError("cannot begin")
        return self.observation(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        observation, reward = self.observation(), 1.0
        info: dict[str, Any] = {"t": self.t, "odd": self.t % 2 == 1}
        if self.t >= self.at:
            match self.fault:
                case "exception":
                    raise ZeroDivisionError("the cable broke")
                case "exit":
                    raise SystemExit(3)
                case "info":
                    info["odd"] = "perhaps"
                case "nan":
                    observation[1] = np.nan
                case "reward":
                    reward = float("inf")
                case "shape":
                    observation = np.zeros(3, np.float32)
                case "killed" | "child_killed":
                    os.abort()
                case "hang":
                    time.sleep(1e6)
                case "hang_in_c":
                    # Holds the interpreter's lock, so that no other thread of Python runs.
                    ctypes.PyDLL(None).pause()
        return observation, reward, False, False, info

    def observation(self) -> Any:
        return np.full(2, self.t, np.float32)

    def render(self) -> Any:
        if self.fault == "picture":
            raise RuntimeError("no screen")
        return np.full((2, 3, 3), self.t % 256, np.uint8)


class Structured(gym.Env[Any, Any]):
    """Shows where a light is, and the action is to name its place.

    The observation is a dictionary; a mask rules one wrong answer out.
    """

    observation_space = spaces.Dict({"light": spaces.Discrete(3), "noise": spaces.Box(0, 1, (1,), np.float64)})
    action_space = spaces.Discrete(3, start=1)

    def __init__(self, masked: bool = False) -> None:
        self.masked = masked

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.observation(), self.info()

    def step(self, action: Any) -> Any:
        reward = float(action == self.light + 1)
        self.t += 1
        return self.observation(), reward, self.t == 10, False, self.info()

    def observation(self) -> Any:
        self.light = int(self.np_random.integers(3))
        return {"light": self.light, "noise": self.np_random.random(1)}

    def info(self) -> dict[str, Any]:
        if not self.masked:
            return {}
        mask = np.ones(3, np.int8)
        mask[(self.light + 1) % 3] = 0
        return {"action_mask": mask}


class Locked(gym.Env[Any, Any]):
    """Some choices are locked, others every step, and taking one is an error."""

    observation_space = spaces.Discrete(2)

    def __init__(self, bits: bool = False) -> None:
        self.bits = bits
        self.action_space = spaces.MultiBinary(3) if bits else spaces.MultiDiscrete([2, 3])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.lock()
        return 0, {}

    def step(self, action: Any) -> Any:
        for choice, allowed in zip(action, self.allowed, strict=True):
            if not allowed[int(choice)]:
                raise ValueError(f"{action} is locked by {self.allowed}")
        self.lock()
        return 1, 0.0, bool(self.np_random.random() < 0.1), False, {}

    def lock(self) -> None:
        self.allowed = [self.np_random.random(n) < 0.6 for n in ([2] * 3 if self.bits else [2, 3])]
        for allowed in self.allowed:
            allowed[self.np_random.integers(len(allowed))] = True

    def action_masks(self) -> Any:
        return np.concatenate(self.allowed)


class Doubled(gym.Wrapper[Any, Any, Any, Any]):
    """Doubles rewards, to be seen."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, 2.0 * float(reward), terminated, truncated, info


class Timed(gym.Wrapper[Any, Any, Any, Any]):
    """Ends an episode after ten steps, each of which counts as one in `info`."""

    def reset(self, **kwargs: Any) -> Any:
        self.left = 10
        return self.env.reset(**kwargs)

    def step(self, action: Any) -> Any:
        observation, reward, _, truncated, info = self.env.step(action)
        self.left -= 1
        return observation, reward, self.left == 0, truncated, {**info, "t10": np.ones(1)}


gym.register("Faulty-v0", lambda **kwargs: Faulty(**kwargs), disable_env_checker=True)


def needy() -> Any:
    """An environment whose simulator is not installed."""
    import no_such_simulator  # type: ignore[import-not-found]

    return no_such_simulator


gym.register("Needy-v0", needy)
gym.register("Locked-v0", lambda **kwargs: Locked(**kwargs), disable_env_checker=True)
gym.register("Structured-v0", lambda **kwargs: Structured(**kwargs), disable_env_checker=True)
