"""The workloads of `cargo xtask bench` in other systems.

    python peers.py {sb3|rejax} {ppo|trpo} ENV

8 environments x 256 steps, minibatch 64, 10 epochs, separate 64-64 tanh networks; TRPO with sb3-contrib's defaults. The last
line printed is environment steps a second. Compilation (rejax) is not counted: it runs once before. The slow systems
run fewer updates; their rate is the same from the second update on.
"""

import sys
import time


def sb3(algo, env_id):
    import torch

    torch.set_num_threads(1)  # measured faster than two for networks of this size
    from stable_baselines3.common.env_util import make_vec_env

    updates = {"ppo": 5, "trpo": 10}[algo]
    env = make_vec_env(env_id, n_envs=8, seed=0)
    if algo == "ppo":
        from stable_baselines3 import PPO

        model = PPO("MlpPolicy", env, n_steps=256, batch_size=64, n_epochs=10, seed=0, device="cpu")
    else:
        from sb3_contrib import TRPO

        model = TRPO("MlpPolicy", env, n_steps=256, seed=0, device="cpu")
    model.learn(2048)
    begun = time.perf_counter()
    model.learn(2048 * updates, reset_num_timesteps=False)
    return 2048 * updates / (time.perf_counter() - begun)


def rejax(algo, env_id):
    import jax
    from rejax import PPO

    assert algo == "ppo", "rejax has no TRPO"
    steps = 204_800
    agent = PPO.create(
        env=env_id,
        total_timesteps=steps,
        eval_freq=steps,
        num_envs=8,
        num_steps=256,
        num_epochs=10,
        num_minibatches=32,
        learning_rate=3e-4,
        max_grad_norm=0.5,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        ent_coef=0.0,
        vf_coef=0.5,
        skip_initial_evaluation=True,
        agent_kwargs={"activation": "tanh"},
    ).replace(eval_callback=lambda algo, ts, rng: ())
    train = jax.jit(agent.train)
    jax.block_until_ready(train(jax.random.PRNGKey(0)))
    begun = time.perf_counter()
    jax.block_until_ready(train(jax.random.PRNGKey(1)))
    return steps / (time.perf_counter() - begun)


if __name__ == "__main__":
    system, algo, env_id = sys.argv[1:]
    print({"sb3": sb3, "rejax": rejax}[system](algo, env_id))
