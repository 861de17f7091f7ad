"""Making environments: from names and options, with an error for everything that a user can get wrong."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import sys
from typing import Any

from rl_gym_spaces import IMPORT_ERROR, Actions, Observations, Refusal, gym, np

MINIMUM_GYMNASIUM = (1, 0)


def require_gymnasium() -> None:
    if isinstance(IMPORT_ERROR, ModuleNotFoundError) and IMPORT_ERROR.name in ("gymnasium", "numpy"):
        raise Refusal("no_gymnasium", f"{IMPORT_ERROR.name} is not installed")
    if IMPORT_ERROR is not None:
        raise IMPORT_ERROR
    version = getattr(gym, "__version__", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < MINIMUM_GYMNASIUM:
        raise Refusal("no_gymnasium", f"gymnasium {version} is too old, it must be 1.0 or later")


def import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name is not None and (name == e.name or name.startswith(e.name + ".")):
            raise Refusal(
                "module", f"there is no module {name!r} (looked in the working directory and {sys.executable})"
            ) from e
        raise


def find(name: str, what: str) -> Any:
    """The object that `module:name` names."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise Refusal("module", f"{what} {name!r}: expected module:function")
    found = getattr(import_module(module), attribute, None)
    if not callable(found):
        raise Refusal("module", f"{what} {name!r}: the module {module!r} has no function {attribute!r}")
    return found


def ensure_known(env_id: str) -> None:
    """Registers what registers itself only when imported, and refuses what is then not known."""
    if env_id.startswith("ALE/") and "ALE/Pong-v5" not in gym.registry:
        try:
            gym.register_envs(importlib.import_module("ale_py"))
        except ModuleNotFoundError as e:
            raise Refusal("dependency", f"{env_id} needs ale-py: pip install ale-py") from e
    try:
        gym.spec(env_id)
    except gym.error.UnregisteredEnv as e:
        near = difflib.get_close_matches(env_id, gym.registry.keys(), n=1, cutoff=0.5)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise Refusal("unknown", f"Gymnasium knows no environment {env_id!r}{hint}") from e


def make_single(config: dict[str, Any]) -> Any:
    """One environment with the user's wrappers around it."""
    if config["module"]:
        import_module(config["module"])
    ensure_known(config["id"])
    kwargs = dict(config["kwargs"])
    wrappers = list(config["wrappers"])
    if "atari" in wrappers:
        kwargs = {"frameskip": 1, "repeat_action_probability": 0.0, **kwargs}
    if config["render"]:
        kwargs.setdefault("render_mode", "rgb_array")
    try:
        env = gym.make(config["id"], **kwargs)
        for wrapper in wrappers:
            env = atari(env) if wrapper == "atari" else find(wrapper, "the wrapper")(env)
    except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as e:
        raise missing_dependency(config["id"], e) from e
    except (AttributeError, ImportError, TypeError) as e:
        # What a simulator of another generation than Gymnasium knows comes to.
        if (version := too_new_mujoco(config["id"])) is None:
            raise
        raise Refusal("dependency", f"{config['id']} with mujoco {version}: {e}; {MUJOCO_HINT}") from e
    return env


MUJOCO_HINT = "it is made for mujoco 2 and 3: pip install 'mujoco<4'"


def missing_dependency(env_id: str, error: Exception) -> Refusal:
    """What is missing, in the environment's own words, and which version of MuJoCo fits where it is that."""
    hint = f"; {MUJOCO_HINT}" if "mujoco" in str(gym.spec(env_id).entry_point).lower() else ""
    return Refusal("dependency", f"{env_id}: {error}{hint}")


def too_new_mujoco(env_id: str) -> str | None:
    """The version of an installed MuJoCo that its environments were not made for, where it is about one of those."""
    if "mujoco" not in str(gym.spec(env_id).entry_point).lower():
        return None
    try:
        version = importlib.metadata.version("mujoco")
    except importlib.metadata.PackageNotFoundError:
        return None
    return version if version.split(".")[0] not in ("2", "3") else None


def atari(env: Any) -> Any:
    """The preprocessing that Stable-Baselines3 gives Atari games: `AtariWrapper` and four stacked frames.

    At a reset up to 30 frames pass without an action, then FIRE is pressed where the game needs it; an action is held
    for four frames, of which the last two are shown as their maximum, grey, 84 by 84; an episode ends with each life;
    a reward is -1, 0 or 1. The last four pictures, black ones at first, make an observation of shape [4, 84, 84] with
    values from 0 to 255. Statistics are the game's own, their lengths in frames.
    """

    class FireOnReset(gym.Wrapper):  # type: ignore[misc]
        """Presses FIRE at the start, without which some games do not begin."""

        def reset(self, **kwargs: Any) -> Any:
            self.env.reset(**kwargs)
            for action in (1, 2):
                observation, _, terminated, truncated, info = self.env.step(action)
                if terminated or truncated:
                    observation, info = self.env.reset(**kwargs)
            return observation, info

    class EpisodicLife(gym.Wrapper):  # type: ignore[misc]
        """Ends an episode with each life, and starts the game anew only when it is over."""

        lives, game_over = 0, True

        def step(self, action: Any) -> Any:
            observation, reward, terminated, truncated, info = self.env.step(action)
            self.game_over = terminated or truncated
            lives = self.env.unwrapped.ale.lives()
            terminated = terminated or 0 < lives < self.lives
            self.lives = lives
            return observation, reward, terminated, truncated, info

        def reset(self, **kwargs: Any) -> Any:
            if self.game_over or kwargs.get("seed") is not None:
                observation, info = self.env.reset(**kwargs)
            else:
                observation, _, terminated, truncated, info = self.env.step(0)
                if terminated or truncated:
                    observation, info = self.env.reset(**kwargs)
            self.game_over = False
            self.lives = self.env.unwrapped.ale.lives()
            return observation, info

    env = gym.wrappers.RecordEpisodeStatistics(env, buffer_length=1)
    env = gym.wrappers.AtariPreprocessing(env, noop_max=30, frame_skip=4, screen_size=84)
    env = EpisodicLife(env)
    if "FIRE" in env.unwrapped.get_action_meanings():
        env = FireOnReset(env)
    env = gym.wrappers.TransformReward(env, np.sign)
    return gym.wrappers.FrameStackObservation(env, 4, padding_type="zero")


def keeps_statistics(env: Any) -> bool:
    """Whether some wrapper tells the returns of whole episodes in `info["episode"]`."""
    while isinstance(env, gym.Wrapper):
        if type(env).__name__ in ("RecordEpisodeStatistics", "Monitor"):
            return True
        env = env.env
    return False


def describe(env: Any, observations: Observations, actions: Actions) -> dict[str, Any]:
    spec = getattr(env, "spec", None)
    limit = getattr(spec, "max_episode_steps", None)
    modes = getattr(env, "metadata", {}).get("render_modes") or []
    return {
        "observation_space": observations.described,
        "action_space": actions.described,
        "max_episode_steps": limit if isinstance(limit, int) and limit > 0 else None,
        "reward_threshold": getattr(spec, "reward_threshold", None),
        "draws": "rgb_array" in modes,
        "autoreset": "same_step",
        "statistics": False,
        "step_seconds": None,
    }


def make_vector(config: dict[str, Any]) -> Any:
    """A vector environment by `module:function`, or Gymnasium's own of an identifier.

    Where it can be asked to start the next episode in the step of the end, it is.
    """
    from gymnasium.vector import AutoresetMode

    n, kwargs, wrappers = config["n"], dict(config["kwargs"]), config["wrappers"]
    module = import_module(config["module"]) if config["module"] else None
    if config["render"]:
        kwargs.setdefault("render_mode", "rgb_array")
    function = getattr(module, config["id"], None)
    if callable(function):
        env = function(num_envs=n, **kwargs)
    else:
        ensure_known(config["id"])
        asked = kwargs.pop("vectorization_mode", None)
        native = asked in (None, "vector_entry_point") and gym.spec(config["id"]).vector_entry_point is not None
        vector_kwargs = dict(kwargs.pop("vector_kwargs", {}))
        if not native:
            vector_kwargs.setdefault("autoreset_mode", AutoresetMode.SAME_STEP)
        try:
            env = gym.make_vec(
                config["id"], num_envs=n, vectorization_mode=asked, vector_kwargs=vector_kwargs, **kwargs
            )
        except (gym.error.DependencyNotInstalled, ModuleNotFoundError) as e:
            raise missing_dependency(config["id"], e) from e
    for wrapper in wrappers:
        env = find(wrapper, "the wrapper")(env)
    return env


def list_registered() -> dict[str, Any]:
    """Every identifier that the interpreter knows without being told more."""
    try:
        gym.register_envs(importlib.import_module("ale_py"))
    except ModuleNotFoundError:
        pass
    return {
        "envs": [
            {"id": spec.id, "max_episode_steps": spec.max_episode_steps, "reward_threshold": spec.reward_threshold}
            for spec in sorted(gym.registry.values(), key=lambda spec: spec.id)
        ]
    }
