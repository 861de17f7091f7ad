"""Python's plain loop over environments, a stretch at a time: reads how many steps, writes how many seconds they took.

What it loops over comes first, as a line of JSON: an identifier, seeds, and the actions of each environment.
"""

from __future__ import annotations

import json
import sys
import time

import gymnasium as gym
import numpy as np


def main() -> None:
    config = json.loads(sys.stdin.readline())
    envs = [gym.make(config["id"]) for _ in config["seeds"]]
    for env, seed in zip(envs, config["seeds"], strict=True):
        env.reset(seed=seed)
    discrete = isinstance(envs[0].action_space, gym.spaces.Discrete)
    kind = np.int64 if discrete else envs[0].action_space.dtype
    drawn = [[np.int64(a[0]) if discrete else np.array(a, kind) for a in row] for row in config["actions"]]
    at = 0
    for line in sys.stdin:
        steps = int(line)
        begun = time.perf_counter()
        for k in range(at, at + steps):
            for env, action in zip(envs, drawn[k % len(drawn)], strict=True):
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()
        print(time.perf_counter() - begun, flush=True)
        at += steps


main()
