"""A courier on a grid who must not leave it: a Dict observation, and a mask over the actions."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces

SIDE = 4
MOVES = np.array([[-1, 0], [0, -1], [1, 0], [0, 1]])


class Courier(gym.Env):
    """Walks to the door that the order names; a step costs 0.1, the door is worth 1."""

    observation_space = spaces.Dict(
        {
            "position": spaces.MultiDiscrete([SIDE, SIDE]),
            "door": spaces.MultiDiscrete([SIDE, SIDE]),
        }
    )
    action_space = spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        places = self.np_random.choice(SIDE * SIDE, size=2, replace=False)
        self.position, self.door = (np.array(divmod(int(place), SIDE)) for place in places)
        return self._observation(), self._info()

    def step(self, action):
        if not self._allowed()[action]:
            raise ValueError(f"the move {action} leads off the grid from {self.position}")
        self.position = self.position + MOVES[action]
        arrived = bool((self.position == self.door).all())
        return self._observation(), 1.0 if arrived else -0.1, arrived, False, self._info()

    def _allowed(self):
        ends = self.position + MOVES
        return ((ends >= 0) & (ends < SIDE)).all(axis=1)

    def _observation(self):
        return {"position": self.position.copy(), "door": self.door.copy()}

    def _info(self):
        return {"action_mask": self._allowed()}


gym.register("Courier-v0", Courier, max_episode_steps=20, reward_threshold=0.75)
