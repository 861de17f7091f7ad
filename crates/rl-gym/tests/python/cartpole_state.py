"""CartPole with its whole state in the observation, to the last bit of its double-precision numbers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class WithState(gym.ObservationWrapper[Any, Any, Any]):
    """Appends the state as three single-precision numbers each, whose sum it is exactly."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.observation_space = spaces.Box(-np.inf, np.inf, (16,), np.float32)

    def observation(self, observation: Any) -> Any:
        rest = np.array(self.unwrapped.state, np.float64)  # type: ignore[attr-defined]
        parts = [observation]
        for _ in range(3):
            parts.append(rest.astype(np.float32))
            rest = rest - parts[-1]
        assert not rest.any()
        return np.concatenate(parts)
