"""The tutorial's TRPO on CartPole-v0 in PyTorch, beside which `examples/seed_demo.rs` is judged: in how many seeds does a test reach 200 in every episode?

    python benches/seed_demo_torch.py OUT.csv FIRST_SEED N_SEEDS

Needs torch and gymnasium. One whole episode an update, 500 of them, each from the same state; two layers (128, ReLU), logits limited to ±20; γ 0.98, advantages of
one step, the critic takes one step of Adam first; KL 5e-4, ten iterations of conjugate gradient without damping, step halved up to fifteen times. Five episodes with
sampled actions are a test, whenever the mean of the last ten returns is a new best. A row of OUT.csv for each seed; rows that are there are not run again.
"""

import csv
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, kl_divergence

EPISODES, RECENT, TESTS, LONGEST = 500, 10, 5, 220
GAMMA, MAX_KL = 0.98, 5e-4


def network(outputs):
    return nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, outputs))


def policy_of(actor, states):
    return Categorical(logits=actor(states).clamp(-20, 20))


def play(env, actor, start):
    """The states (one more than there are steps), actions, rewards and whether the episode was over after each step."""
    state, _ = env.reset(seed=start)
    states, actions, rewards, over = [state], [], [], False
    while not over and len(rewards) < LONGEST:
        with torch.no_grad():
            action = policy_of(actor, torch.as_tensor(state)).sample().item()
        state, reward, terminated, truncated, _ = env.step(action)
        over = terminated or truncated
        states.append(state)
        actions.append(action)
        rewards.append(reward)
    return torch.as_tensor(np.array(states)), torch.tensor(actions), torch.tensor(rewards), over


def flat(tensors):
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def natural_step(actor, states, actions, advantages):
    parameters = list(actor.parameters())
    with torch.no_grad():
        old = policy_of(actor, states)
        old_log_probs = old.log_prob(actions)
        theta = nn.utils.parameters_to_vector(parameters)

    def surrogate():
        return ((policy_of(actor, states).log_prob(actions) - old_log_probs).exp() * advantages).mean()

    gradient = flat(torch.autograd.grad(surrogate(), parameters))

    def fisher_times(v):
        divergence = kl_divergence(old, policy_of(actor, states)).mean()
        slope = flat(torch.autograd.grad(divergence, parameters, create_graph=True))
        return flat(torch.autograd.grad(slope @ v, parameters))

    x, r, p = torch.zeros_like(gradient), gradient.clone(), gradient.clone()
    squared = r @ r
    for _ in range(10):
        fp = fisher_times(p)
        length = squared / (p @ fp)
        x += length * p
        r -= length * fp
        smaller = r @ r
        if smaller < 1e-10:
            break
        p = r + smaller / squared * p
        squared = smaller
    step = x * torch.sqrt(2 * MAX_KL / (x @ fisher_times(x) + 1e-8))
    with torch.no_grad():
        before = surrogate()
        for halvings in range(15):
            nn.utils.vector_to_parameters(theta + 0.5**halvings * step, parameters)
            if surrogate() > before and kl_divergence(old, policy_of(actor, states)).mean() < MAX_KL:
                return
        nn.utils.vector_to_parameters(theta, parameters)


def demonstrate(seed):
    """The best test's mean return, and after how many episodes a test first reached 200 (None: never)."""
    torch.manual_seed(seed)
    env, judge = gymnasium.make("CartPole-v0"), gymnasium.make("CartPole-v0")
    actor, critic = network(2), network(1)
    adam = torch.optim.Adam(critic.parameters(), lr=4.5e-2)
    returns, best, best_test, solved = [], -np.inf, -np.inf, None
    for episode in range(1, EPISODES + 1):
        states, actions, rewards, over = play(env, actor, seed)
        returns.append(float(rewards.sum()))
        recent = np.mean(returns[-RECENT:])
        if episode > RECENT and recent > best:
            best = recent
            test = np.mean([float(play(judge, actor, seed)[2].sum()) for _ in range(TESTS)])
            best_test = max(best_test, test)
            if test >= 200 and solved is None:
                solved = episode
        goes_on = torch.ones(len(rewards))
        goes_on[-1] = 0.0 if over else 1.0
        with torch.no_grad():
            targets = rewards + GAMMA * critic(states[1:]).squeeze(1) * goes_on
        loss = ((critic(states[:-1]).squeeze(1) - targets) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            advantages = targets - critic(states[:-1]).squeeze(1)
        natural_step(actor, states[:-1], actions, advantages)
    return best_test, solved


def main():
    out, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    done = {int(row["seed"]) for row in csv.DictReader(out.open())} if out.is_file() else set()
    for seed in range(first, first + count):
        if seed in done:
            continue
        best_test, solved = demonstrate(seed)
        with out.open("a") as file:
            if file.tell() == 0:
                file.write("seed,best_test,solved_after\n")
            file.write(f"{seed},{best_test},{'' if solved is None else solved}\n")


if __name__ == "__main__":
    main()
