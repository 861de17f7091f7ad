"""The search behind the preset `best`: random settings, of which fewer and fewer get more and more seeds.

    python benches/search.py RL OUT [ALGO ENV]...
    python benches/search.py --refine RL OUT [ALGO ENV]...
    python benches/search.py --by-hand RL OUT [ALGO ENV]...
    python benches/search.py --wide RL OUT [ALGO ENV]...
    python benches/search.py --page OUT DOCS

The second command goes on from the first one's best candidate: the candidates of this search differ from it in two or three settings.
The third judges a few candidates that a person thought of. The fourth is a random search of TRPO with ten times as many candidates from wider ranges, for Acrobot-v1. The last copies the records to DOCS/search, and prints what is written in DOCS/search.md about the best of them.
RL is the built program. OUT gets, for each pair of an algorithm and an environment, what `rl compare --lean` leaves (so that the same command
goes on where it was interrupted), and record.json (record-refined.json): every candidate with its settings, its seeds and what came of them.

A candidate is judged on what matters to somebody who uses the last policy of a run:

    J = min(0, (mean return of the final policies - target) / scale) - fraction of seeds that failed - share of the budget until the threshold

where a seed that never reaches the threshold counts as the whole budget. There is no early stop and no best checkpoint. The first candidate is
the preset `zoo`. Seeds of the search are 10000 and up; the seeds that results are reported for (0 to 19) and checked with (100000 and up) are
never used here.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

FIRST_SEED = 10_000
# Candidates and seeds of each round.
ROUNDS = [(28, 2), (10, 6), (4, 20), (2, 60)]
LONG_ROUNDS = [(14, 2), (5, 5), (3, 16)]
REFINING_ROUNDS = [(10, 6), (4, 20), (2, 60)]
WIDE_ROUNDS = [(301, 3), (56, 8), (18, 24), (6, 60)]
# Late falls are rare: a preset without them needs many seeds.
CARTPOLE_REFINING_ROUNDS = [(10, 10), (4, 50), (2, 200)]
LONG_REFINING_ROUNDS = [(8, 4), (3, 16)]

# Environment: target of the mean return, scale on which a shortfall counts, least return of a seed that has not failed.
GOALS = {
    "CartPole-v1": (499.5, 20.0, 475.0),
    "Acrobot-v1": (-80.0, 10.0, -100.0),
    "MountainCar-v0": (-105.0, 10.0, -130.0),
    "MountainCarContinuous-v0": (93.0, 10.0, 80.0),
    "Pendulum-v1": (-155.0, 20.0, -250.0),
}
BUDGETS = {
    ("trpo", "CartPole-v1"): 100_000,
    ("ppo", "CartPole-v1"): 100_000,
    ("trpo", "Acrobot-v1"): 100_000,
    ("ppo", "Acrobot-v1"): 1_000_000,
    ("trpo", "MountainCar-v0"): 100_000,
    ("ppo", "MountainCar-v0"): 1_000_000,
    ("trpo", "MountainCarContinuous-v0"): 50_000,
    ("ppo", "MountainCarContinuous-v0"): 20_000,
    ("trpo", "Pendulum-v1"): 100_000,
    ("ppo", "Pendulum-v1"): 100_000,
}


def candidate(rng, algo, env):
    """Random settings of `algo` on `env`, as `key=value`."""
    pick = rng.choice
    continuous = env in ("MountainCarContinuous-v0", "Pendulum-v1")
    short = BUDGETS[algo, env] <= 20_000
    s = {
        "gamma": pick({"Pendulum-v1": [0.9, 0.9, 0.95], "CartPole-v1": [0.98, 0.99, 0.99]}.get(env, [0.99, 0.995, 0.999])),
        "gae_lambda": pick([0.8, 0.9, 0.95, 0.98]),
        "net_arch": pick(["[64,64]", "[64,64]", "[32,32]", "[128,128]"]),
    }
    normalised = pick([True, True, False]) if env != "CartPole-v1" else False
    s["normalize_observation"] = normalised
    s["normalize_reward"] = normalised if env != "Pendulum-v1" else pick([True, False])
    if continuous:
        s["use_sde"] = pick([True, True, False])
        s["log_std_init"] = pick([-2.0, -1.0, 0.0, 0.0, 0.5]) if env == "Pendulum-v1" else pick([-1.0, 0.0, 0.5, 1.0])
        if s["use_sde"]:
            s["sde_sample_freq"] = pick([4, 8, 16, 64, "none"])
    if algo == "trpo":
        n_envs, batch = pick([1, 2, 4, 8]), pick([512, 1024, 2048] if env == "CartPole-v1" else [1024, 2048, 4096])
        s |= {
            "n_envs": n_envs,
            "n_steps": batch // n_envs,
            "max_kl": pick([0.01, 0.02, 0.03, 0.05, "lin_0.02", "lin_0.05"]),
            "cg_damping": pick([0.001, 0.01, 0.1]),
            "learning_rate": pick([0.001, 0.002, 0.003]),
            "n_critic_updates": pick([10, 20, 30]),
            "batch_size": pick([64, 128]),
            "advantage_std_floor": pick(["none", 0.02, 0.05, 0.1]) if not continuous else pick(["none", "none", 0.05]),
        }
    else:
        n_envs = pick([1, 4, 8] if short else [4, 8, 16])
        rollout = pick([256, 512, 1024] if short else [256, 512, 1024, 2048, 4096])
        s |= {
            "n_envs": n_envs,
            "n_steps": rollout // n_envs,
            "batch_size": min(rollout, pick([64, 128, 256])),
            "n_epochs": pick([5, 10, 20]),
            "learning_rate": pick([0.0003, 0.001, 0.002, "lin_0.001", "lin_0.002", "lin_0.003"]),
            "clip_range": pick([0.1, 0.2, 0.2, "lin_0.2", "lin_0.3"]),
            "ent_coef": pick([0.0, 0.0, 0.001, 0.01]),
            "target_kl": pick(["none", "none", 0.02, 0.05]),
            "vf_coef": pick([0.25, 0.5, 1.0]),
        }
    return s


def wide_candidate(rng):
    """Random settings of TRPO on a task of discrete actions, from wider ranges."""
    pick = rng.choice
    n_envs, rollout = pick([1, 2, 4, 8]), pick([256, 512, 768, 1024, 1536, 2048])
    return {
        "gamma": pick([0.98, 0.99, 0.99, 0.995, 0.995, 0.999]),
        "gae_lambda": pick([0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99]),
        "net_arch": pick(["[64,64]", "[32,32]", "[128,128]", "[64]", "[128]", "[48,48]"]),
        "activation": pick(["tanh", "tanh", "relu", "silu", "elu"]),
        "normalize_observation": pick([True, False, False]),
        "normalize_reward": pick([True, False]),
        "n_envs": n_envs,
        "n_steps": rollout // n_envs,
        "max_kl": pick([0.01, 0.02, "lin_0.01", "lin_0.02", "lin_0.03", "lin_0.05", "lin_0.1"]),
        "cg_damping": pick([0.01, 0.03, 0.1, 0.3]),
        "learning_rate": pick([0.001, 0.003, 0.005, "lin_0.005", "lin_0.01"]),
        "n_critic_updates": pick([10, 20, 30, 50]),
        "batch_size": pick([32, 64, 128]),
        "ent_coef": pick([0.0, 0.0, 0.0, 0.003, "lin_0.01", "lin_0.03"]),
        "advantage_std_floor": pick(["none", "none", 0.05]),
    }


def settings_of(text):
    return dict(word.split("=", 1) for word in text.split())


NORMALISED = "normalize_observation=true normalize_reward=true"
CARTPOLE = "gamma=0.99 gae_lambda=0.9 n_envs=4 n_steps=256 batch_size=64 n_epochs=20 learning_rate=lin_0.002 clip_range=0.2 vf_coef=0.5"
PENDULUM = "use_sde=true normalize_reward=true n_steps=512 gae_lambda=0.9 gamma=0.95 learning_rate=lin_0.002"
# What a person thought of: for CartPole, where a few of a thousand runs still fell at the end, steps that become small; rewards of Pendulum normalised, because the loss of a critic of large returns takes the whole gradient's norm; for budgets
# of a million steps, in which a random search is dear, larger rollouts and longer horizons.
BY_HAND = {
    ("ppo", "CartPole-v1"): [CARTPOLE, CARTPOLE.replace("clip_range=0.2", "clip_range=lin_0.2"), CARTPOLE.replace("lin_0.002", "lin_0.003")],
    ("ppo", "Pendulum-v1"): [
        PENDULUM,
        PENDULUM.replace("lin_0.002", "lin_0.001"),
        PENDULUM.replace("lin_0.002", "lin_0.003"),
        PENDULUM.replace("n_steps=512", "n_steps=256"),
        PENDULUM + " sde_sample_freq=16",
        PENDULUM + " net_arch=[32,32]",
        PENDULUM + " n_envs=8 n_steps=256",
        PENDULUM.replace("gae_lambda=0.9", "gae_lambda=0.95"),
    ],
    ("ppo", "Acrobot-v1"): [
        "gamma=0.99 n_envs=16 n_steps=256 batch_size=256 n_epochs=10 learning_rate=lin_0.001 gae_lambda=0.94",
        "gamma=0.995 n_envs=8 n_steps=256 batch_size=128 n_epochs=5 learning_rate=lin_0.001 gae_lambda=0.95 " + NORMALISED,
        "gamma=0.99 n_envs=16 n_steps=128 batch_size=256 n_epochs=10 learning_rate=lin_0.002 gae_lambda=0.9 " + NORMALISED,
    ],
    ("ppo", "MountainCar-v0"): [
        "gamma=0.99 n_envs=16 n_steps=128 batch_size=256 n_epochs=10 learning_rate=lin_0.001 gae_lambda=0.98",
        "gamma=0.999 n_envs=16 n_steps=64 batch_size=256 n_epochs=5 learning_rate=lin_0.002 gae_lambda=0.95",
        "gamma=0.995 n_envs=16 n_steps=128 batch_size=256 n_epochs=10 learning_rate=lin_0.002 gae_lambda=0.95",
    ],
}
HAND_ROUNDS = [(9, 6), (4, 20), (2, 60)]
LONG_HAND_ROUNDS = [(4, 4), (3, 12)]

# Settings that change together.
TOGETHER = [("n_envs", "n_steps", "batch_size"), ("normalize_observation", "normalize_reward"), ("use_sde", "sde_sample_freq")]


def neighbour(rng, algo, env, settings):
    """`settings` but for two or three of them, drawn again."""
    fresh = candidate(rng, algo, env)
    groups = [g for g in TOGETHER if g[0] in fresh] + [(k,) for k in fresh if not any(k in g for g in TOGETHER)]
    changed = dict(settings)
    for group in rng.sample(groups, rng.choice([2, 2, 3])):
        for key in group:
            changed.pop(key, None)
            if key in fresh:
                changed[key] = fresh[key]
    return changed


def words(settings):
    show = lambda v: str(v).lower() if isinstance(v, bool) else str(v)
    return [f"{k}={show(v)}" for k, v in settings.items()]


def measure(rl, algo, env, out, candidates, n_seeds):
    """Runs what is missing, and gives for every candidate its runs."""
    columns = [f"{algo}@zoo:label=c{i}" + "".join("," + w for w in words(s)) for i, s in candidates]
    budget = BUDGETS[algo, env]
    command = [rl, "compare", *columns, "--env", env, "--seed", str(FIRST_SEED), "--seeds", str(n_seeds)]
    command += ["--total-steps", str(budget), "--eval-freq", str(budget // 25), "--lean", "--out", str(out), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if not (out / "lean.jsonl").is_file():
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    runs = {i: {} for i, _ in candidates}
    for line in open(out / "lean.jsonl"):
        if line.strip():
            run = json.loads(line)
            i = int(run["config"]["label"][1:])
            if i in runs and run["config"]["seed"] < FIRST_SEED + n_seeds:
                runs[i][run["config"]["seed"]] = run
    return runs


def judge(env, budget, runs):
    target, scale, least = GOALS[env]
    if not runs:
        return None
    finals = [(r["summary"]["eval"] or {}).get("mean") for r in runs.values()]
    finals = [least - 10 * scale if f is None else f for f in finals]
    steps = [min(r["summary"]["steps_to_threshold"] or budget, budget) for r in runs.values()]
    mean = sum(finals) / len(finals)
    failed = sum(f < least for f in finals) / len(finals)
    share = sum(steps) / len(steps) / budget
    return {
        "seeds": len(finals),
        "mean": round(mean, 2),
        "lowest": round(min(finals), 2),
        "failed": round(failed, 3),
        "steps_to_threshold": round(share * budget),
        "J": round(min(0.0, (mean - target) / scale) - failed - share, 4),
    }


NAMES = {None: "record.json", "--refine": "record-refined.json", "--by-hand": "record-by-hand.json", "--wide": "record-wide.json"}


def best_of(record):
    """Number and settings of the best of those with the most seeds."""
    last = {i: c["rounds"][-1] for i, c in record["candidates"].items() if c["rounds"]}
    most = max(r["seeds"] for r in last.values())
    best = max((i for i in last if last[i]["seeds"] == most), key=lambda i: last[i]["J"])
    return int(best), dict(word.split("=", 1) for word in record["candidates"][best]["settings"])


def search(rl, out, algo, env, mode):
    budget = BUDGETS[algo, env]
    refine = mode == "--refine"
    out = out / f"{algo}-{env}"
    name = NAMES[mode]
    rng = random.Random(f"{algo} {env}{' refined' if refine else ''}")
    if refine:
        rounds = LONG_REFINING_ROUNDS if budget > 100_000 else REFINING_ROUNDS
        rounds = CARTPOLE_REFINING_ROUNDS if env == "CartPole-v1" else rounds
        number, start = best_of(json.loads((out / "record.json").read_text()))
        # Those of a refined search have numbers from 100 on; where it starts from keeps its own. What was tried already is not tried again.
        tried = [set(c["settings"]) for c in json.loads((out / "record.json").read_text())["candidates"].values()]
        others = []
        while len(others) < rounds[0][0] - 2:
            other = neighbour(rng, algo, env, start)
            if set(words(other)) not in tried:
                tried.append(set(words(other)))
                others.append((100 + len(others), other))
        candidates = [(0, {})] + [(number, start)] * (number != 0) + others
    elif mode == "--by-hand":
        rounds = LONG_HAND_ROUNDS if budget > 100_000 else HAND_ROUNDS
        candidates = [(0, {})] + [(200 + i, settings_of(text)) for i, text in enumerate(BY_HAND[algo, env])]
    elif mode == "--wide":
        rounds = WIDE_ROUNDS
        candidates = [(0, {})] + [(i, wide_candidate(rng)) for i in range(1, rounds[0][0])]
    else:
        rounds = LONG_ROUNDS if budget > 100_000 else ROUNDS
        candidates = [(0, {})] + [(i, candidate(rng, algo, env)) for i in range(1, rounds[0][0])]
    record = {i: {"settings": words(s), "rounds": []} for i, s in candidates}
    for keep, n_seeds in rounds:
        candidates = candidates[:keep]
        if all(i != 0 for i, _ in candidates):
            candidates = candidates[:-1] + [(0, {})]
        runs = measure(rl, algo, env, out, candidates, n_seeds)
        scores = {i: judge(env, budget, runs[i]) for i, _ in candidates}
        for i, score in scores.items():
            # Whoever is slower than what was published is no better preset, however good its last policies are.
            score["J"] = round(score["J"] - 0.3 * (mode is not None and score["steps_to_threshold"] > scores[0]["steps_to_threshold"]), 4)
        for i, score in scores.items():
            record[i]["rounds"].append(score)
        candidates.sort(key=lambda c: -scores[c[0]]["J"] if scores[c[0]] else 1e9)
        (out / name).write_text(json.dumps({"algo": algo, "env": env, "budget": budget, "candidates": record}, indent=1))
        best, zoo = candidates[0][0], record[0]["rounds"][-1]
        print(f"{algo} {env}: after {n_seeds} seeds c{best} {scores[best]}; zoo {zoo}", flush=True)
    print(f"{algo} {env}: {' '.join(record[candidates[0][0]]['settings']) or 'zoo'}", flush=True)


def page(out, docs):
    (docs / "search").mkdir(exist_ok=True)
    print("| search | candidate | seeds | mean | lowest | failed | steps to the threshold | J | settings beside those of `zoo` |")
    print("|-|-|-|-|-|-|-|-|-|")
    for algo, env in BUDGETS:
        for mode, which in [(None, ""), ("--refine", ", refined"), ("--by-hand", ", by hand"), ("--wide", ", wide")]:
            name = NAMES[mode]
            path = out / f"{algo}-{env}" / name
            if not path.is_file():
                continue
            record = json.loads(path.read_text())
            target = docs / "search" / f"{algo}-{env}{which.replace(', ', '-').replace(' ', '-')}.json"
            lines = [f'  {json.dumps(str(i))}: {json.dumps(c)}' for i, c in record["candidates"].items()]
            head = f'"algo": "{algo}", "env": "{env}", "budget": {record["budget"]}'
            target.write_text("{" + head + ', "candidates": {\n' + ",\n".join(lines) + "\n}}\n")
            best, _ = best_of(record)
            for i in [best] + [0] * (best != 0):
                c = record["candidates"][str(i)]
                last = c["rounds"][-1]
                row = [f"{algo} {env}{which}", f"c{i}" if i else "zoo"]
                row += [str(last[k]) for k in ("seeds", "mean", "lowest", "failed", "steps_to_threshold", "J")]
                print("| " + " | ".join(row + [" ".join(c["settings"])]) + " |")


def main():
    if sys.argv[1] == "--page":
        return page(*map(Path, sys.argv[2:]))
    mode = sys.argv[1] if sys.argv[1] in NAMES else None
    rl, out, *pairs = sys.argv[1 + (mode is not None) :]
    default = {"--by-hand": list(BY_HAND), "--wide": [("trpo", "Acrobot-v1")]}
    pairs = list(zip(pairs[::2], pairs[1::2])) or default.get(mode, list(BUDGETS))
    for algo, env in pairs:
        search(rl, Path(out), algo, env, mode)


if __name__ == "__main__":
    main()
