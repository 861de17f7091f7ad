"""The demonstration of examples/seed_demo.rs in PyTorch and Gymnasium, for comparison: on how many seeds does it solve CartPole-v0?

    python benches/seed_demo.py FIRST_SEED N_SEEDS

Needs torch and gymnasium. Second derivatives come from autograd here, and from the Fisher matrix's closed form there.
"""

import sys

import gymnasium
import numpy as np
import torch
from torch.distributions import Categorical, kl_divergence

EPISODES, RECENT, TESTS, GAMMA, MAX_KL = 500, 10, 5, 0.98, 5e-4


def network(outputs):
    return torch.nn.Sequential(torch.nn.Linear(4, 128), torch.nn.ReLU(), torch.nn.Linear(128, outputs))


def policy(actor, observations):
    return Categorical(logits=actor(observations).clamp(-20, 20))


def play(env, actor, seed):
    observation, _ = env.reset(seed=seed)
    rows, actions, rewards, over = [], [], [], False
    while not over:
        with torch.no_grad():
            action = policy(actor, torch.as_tensor(observation)).sample().item()
        rows.append(observation)
        actions.append(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
        over = terminated or truncated
    return torch.as_tensor(np.array(rows)), torch.tensor(actions), torch.tensor(rewards, dtype=torch.float32)


def trust_region_step(actor, observations, actions, advantages):
    parameters = list(actor.parameters())
    flat = lambda tensors: torch.cat([t.reshape(-1) for t in tensors])
    with torch.no_grad():
        old = policy(actor, observations)
        old_log_probs = old.log_prob(actions)

    def surrogate():
        return (torch.exp(policy(actor, observations).log_prob(actions) - old_log_probs) * advantages).mean()

    g = flat(torch.autograd.grad(surrogate(), parameters))
    kl = kl_divergence(old, policy(actor, observations)).mean()
    kl_gradient = flat(torch.autograd.grad(kl, parameters, create_graph=True))

    def product(v):
        return flat(torch.autograd.grad(kl_gradient @ v, parameters, retain_graph=True))

    x, r, p = torch.zeros_like(g), g.clone(), g.clone()
    rr = r @ r
    for _ in range(10):
        fp = product(p)
        alpha = rr / (p @ fp)
        x, r = x + alpha * p, r - alpha * fp
        new = r @ r
        if new < 1e-10:
            break
        p, rr = r + new / rr * p, new
    step = x * torch.sqrt(2 * MAX_KL / (x @ product(x) + 1e-8))
    theta = torch.nn.utils.parameters_to_vector(parameters).detach()
    with torch.no_grad():
        before = surrogate()
        for i in range(15):
            torch.nn.utils.vector_to_parameters(theta + 0.5**i * step, parameters)
            if surrogate() > before and kl_divergence(old, policy(actor, observations)).mean() < MAX_KL:
                return
        torch.nn.utils.vector_to_parameters(theta, parameters)


def demonstrate(seed):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    env, tests = gymnasium.make("CartPole-v0"), gymnasium.make("CartPole-v0")
    actor, critic = network(2), network(1)
    adam = torch.optim.Adam(critic.parameters(), lr=4.5e-2)
    returns, best, solved_after = [], -np.inf, None
    for episode in range(1, EPISODES + 1):
        observations, actions, rewards = play(env, actor, seed)
        returns.append(rewards.sum().item())
        last = np.mean(returns[-RECENT:])
        if episode > RECENT and last > best:
            best = last
            test = np.mean([play(tests, actor, seed)[2].sum().item() for _ in range(TESTS)])
            if test >= 200 and solved_after is None:
                solved_after = episode
        v = critic(observations)[:, 0]
        targets = rewards + GAMMA * torch.cat([v[1:], torch.zeros(1)]).detach()
        adam.zero_grad()
        ((v - targets) ** 2).mean().backward()
        adam.step()
        advantages = (targets - critic(observations)[:, 0]).detach()
        trust_region_step(actor, observations, actions, advantages)
    return solved_after


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2])
    solved = []
    for seed in range(first, first + count):
        solved.append(demonstrate(seed))
        print(f"seed {seed}: {solved[-1]}; {sum(s is not None for s in solved)} of {len(solved)}", flush=True)
