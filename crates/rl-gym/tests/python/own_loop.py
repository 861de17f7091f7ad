"""Gymnasium's own loop over environments, to compare the bridge with.

Reads a line of JSON (id, kwargs, seeds, steps, whether actions are indices, their width), then all actions.
Writes, step by step, what every environment gave: observation, final observation (zeros where the episode goes on),
reward, how it ended.
"""

from __future__ import annotations

import json
import sys

import gymnasium as gym
import numpy as np


def main() -> None:
    config = json.loads(sys.stdin.buffer.readline())
    seeds, steps, width, discrete = config["seeds"], config["steps"], config["width"], config["discrete"]
    n = len(seeds)
    kind = np.int64 if discrete else np.float32
    actions = np.frombuffer(sys.stdin.buffer.read(), kind).reshape(steps, n, width)
    out = sys.stdout.buffer
    envs = [gym.make(config["id"], **config["kwargs"]) for _ in seeds]
    for env, seed in zip(envs, seeds, strict=True):
        observation, _ = env.reset(seed=seed)
        out.write(observation.astype(np.float32).tobytes())
    for t in range(steps):
        for i, env in enumerate(envs):
            action = np.int64(actions[t, i, 0]) if discrete else actions[t, i].astype(env.action_space.dtype)
            observation, reward, terminated, truncated, _ = env.step(action)
            final = np.zeros_like(observation)
            if terminated or truncated:
                final = observation
                observation, _ = env.reset()
            for row in (observation, final):
                out.write(row.astype(np.float32).tobytes())
            out.write(np.float64(reward).tobytes())
            out.write(bytes([1 if terminated else 2 if truncated else 0]))


main()
