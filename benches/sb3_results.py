"""What Stable-Baselines3 and sb3-contrib reach with the settings of the preset `zoo`: a row of docs/results/sb3.csv for each run.

    python benches/sb3_results.py OUT.csv ALGO ENV FIRST_SEED N_SEEDS [STEPS]

Needs stable-baselines3 and sb3-contrib (and gymnasium[mujoco] for Hopper and others of MuJoCo). The final policy plays 100 deterministic episodes in
environments of its own; observations are normalised by the statistics of training, returns are raw. Rows that are there are not run again. STEPS replaces the budget.
"""

import csv
import sys
import time
from pathlib import Path

TUNED = dict(log_std_init=-2, ortho_init=False, net_arch=dict(pi=[256, 256], vf=[256, 256]))
# (algorithm, environment): steps, environments, normalised, settings, settings of the policy
ZOO = {
    ("ppo", "CartPole-v1"): (1e5, 8, False, dict(n_steps=32, batch_size=256, n_epochs=20, gamma=0.98, gae_lambda=0.8, learning_rate=lambda p: 1e-3 * p, clip_range=lambda p: 0.2 * p, ent_coef=0.0), {}),
    ("ppo", "Pendulum-v1"): (1e5, 4, False, dict(n_steps=1024, batch_size=64, n_epochs=10, gamma=0.9, gae_lambda=0.95, learning_rate=1e-3, clip_range=0.2, ent_coef=0.0, use_sde=True, sde_sample_freq=4), {}),
    ("ppo", "Acrobot-v1"): (1e6, 16, True, dict(n_steps=256, batch_size=64, n_epochs=4, gamma=0.99, gae_lambda=0.94, ent_coef=0.0), {}),
    ("ppo", "MountainCar-v0"): (1e6, 16, True, dict(n_steps=16, batch_size=64, n_epochs=4, gamma=0.99, gae_lambda=0.98, ent_coef=0.0), {}),
    ("ppo", "Hopper-v5"): (1e6, 1, True, dict(n_steps=512, batch_size=32, n_epochs=5, gamma=0.999, gae_lambda=0.99, learning_rate=9.80828e-5, clip_range=0.2, ent_coef=0.00229519, max_grad_norm=0.7, vf_coef=0.835671), TUNED),
    ("ppo", "HalfCheetah-v5"): (1e6, 1, True, dict(n_steps=512, batch_size=64, n_epochs=20, gamma=0.98, gae_lambda=0.92, learning_rate=2.0633e-5, clip_range=0.1, ent_coef=0.000401762, max_grad_norm=0.8, vf_coef=0.58096), TUNED),
    ("ppo", "Walker2d-v5"): (1e6, 1, True, dict(n_steps=512, batch_size=32, n_epochs=20, gamma=0.99, gae_lambda=0.95, learning_rate=5.05041e-5, clip_range=0.1, ent_coef=0.000585045, max_grad_norm=1, vf_coef=0.871923), TUNED),
    ("trpo", "CartPole-v1"): (1e5, 2, False, dict(n_steps=512, batch_size=512, n_critic_updates=20, cg_damping=1e-3, gae_lambda=0.98, gamma=0.99, learning_rate=1e-3), {}),
    ("trpo", "Pendulum-v1"): (1e5, 2, False, dict(n_steps=1024, n_critic_updates=15, gamma=0.9, gae_lambda=0.95, learning_rate=1e-3, use_sde=True, sde_sample_freq=4), {}),
    ("trpo", "Acrobot-v1"): (1e5, 2, True, dict(n_steps=1024, n_critic_updates=10, gae_lambda=0.95, gamma=0.99, learning_rate=1e-3), {}),
    ("trpo", "MountainCar-v0"): (1e5, 2, True, dict(n_steps=1024, n_critic_updates=20, gae_lambda=0.95, gamma=0.99, learning_rate=1e-3), {}),
    ("trpo", "LunarLander-v3"): (2e5, 2, False, dict(n_steps=512, n_critic_updates=15, cg_damping=0.01, gae_lambda=0.98, gamma=0.99, learning_rate=1e-3), {}),
    ("trpo", "Hopper-v5"): (1e6, 2, True, dict(n_steps=1024, n_critic_updates=20, cg_max_steps=25, gae_lambda=0.95, gamma=0.99, learning_rate=1e-3), {}),
    ("trpo", "HalfCheetah-v5"): (1e6, 2, True, dict(n_steps=1024, n_critic_updates=20, cg_max_steps=25, target_kl=0.04, gae_lambda=0.95, gamma=0.99, learning_rate=1e-3), {}),
    ("trpo", "Ant-v5"): (1e6, 2, True, dict(n_steps=1024, n_critic_updates=20, cg_max_steps=25, gae_lambda=0.95, gamma=0.99, learning_rate=1e-3), {}),
}


def run(algo, env_id, seed, steps=None):
    import torch

    torch.set_num_threads(1)
    from sb3_contrib import TRPO
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecNormalize

    budget, n_envs, normalised, settings, policy = ZOO[algo, env_id]
    steps = steps or budget
    policy = dict(policy)
    if policy:
        policy["activation_fn"] = torch.nn.ReLU
    env = make_vec_env(env_id, n_envs=n_envs, seed=seed)
    if normalised:
        env = VecNormalize(env, gamma=settings["gamma"])
    model = {"ppo": PPO, "trpo": TRPO}[algo]("MlpPolicy", env, seed=seed, device="cpu", policy_kwargs=policy, **settings)
    begun = time.perf_counter()
    model.learn(int(steps))
    seconds = time.perf_counter() - begun
    judge = make_vec_env(env_id, n_envs=1, seed=seed + 1_000_000)
    if normalised:
        judge = VecNormalize(judge, training=False, norm_reward=False)
        judge.obs_rms = env.obs_rms
    mean, std = evaluate_policy(model, judge, n_eval_episodes=100, deterministic=True)
    return int(steps), mean, std, seconds


def main():
    out, algo, env_id, first, count, *steps = sys.argv[1:]
    steps = float(steps[0]) if steps else None
    out = Path(out)
    from sb3_contrib import __version__ as contrib
    from stable_baselines3 import __version__ as sb3

    system = f"sb3-contrib {contrib}" if algo == "trpo" else f"stable-baselines3 {sb3}"
    done = set()
    if out.is_file():
        done = {(r["algo"], r["env"], int(r["steps"]), int(r["seed"])) for r in csv.DictReader(out.open())}
    for seed in range(int(first), int(first) + int(count)):
        if (algo, env_id, int(steps or ZOO[algo, env_id][0]), seed) in done:
            continue
        made, mean, std, seconds = run(algo, env_id, seed, steps)
        with out.open("a") as file:
            if file.tell() == 0:
                file.write("system,algo,env,steps,seed,mean,std,seconds\n")
            file.write(f"{system},{algo},{env_id},{made},{seed},{mean:.3f},{std:.3f},{seconds:.0f}\n")


if __name__ == "__main__":
    main()
