"""Saved policies in PyTorch, and a check that they are the same there.

    python load_policy.py DIR            compares every DIR/*.safetensors with DIR/outputs.json
    python load_policy.py DIR --write    computes DIR/outputs.json, in float64    (needs: torch, numpy, safetensors)

The policies were written by `POLICIES=write cargo test --release -p rl-tests --test suite saved_policies`; the committed outputs are PyTorch 2.15.0's.
docs/guides/pytorch.md shows the part between the two lines of dashes.
"""
import json, pathlib, sys
# ----
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch.distributions import Bernoulli, Categorical, Normal

ACTIVATIONS = dict(tanh=torch.tanh, relu=F.relu, elu=F.elu, gelu=F.gelu, silu=F.silu, leaky_relu=F.leaky_relu)


class Policy:
    """A saved policy: observations [rows, n] to a distribution of its samples, and samples to actions."""

    def __init__(self, path, dtype=torch.float32):
        with safe_open(path, "pt") as file:
            self.about = json.loads(file.metadata()["rl"])
            self.arrays = {name: file.get_tensor(name) for name in file.keys()}
        self.dtype, self.spec = dtype, self.about["policy"]

    def __call__(self, obs, masks=None):
        return self.distribution(self.outputs(obs), masks)

    def outputs(self, obs):
        if "observation" in self.about:         # trained on normalised observations
            mean, var, how = self.arrays["observation.mean"], self.arrays["observation.var"], self.about["observation"]
            obs = (obs.double() - mean) / (var + how["epsilon"]).sqrt()
            obs = obs.clamp(-how["clip"], how["clip"]).float()
        return self.network(self.spec["network"], "policy.", obs.to(self.dtype))

    def array(self, name):
        return self.arrays[name].to(self.dtype)

    def network(self, spec, name, x):
        linear = lambda name, x: F.linear(x, self.array(name + ".weight"), self.array(name + ".bias"))
        activation = ACTIVATIONS.get(spec.get("activation"), lambda x: x)
        match spec["kind"]:
            case "mlp":
                last = len(spec["sizes"]) - 2
                for l in range(last + 1):
                    x = linear(f"{name}{l}", x)
                    x = activation(x) if l < last or spec.get("activated_output") else x
                return x
            case "cnn":
                x = x.reshape(-1, *spec["image"]) * spec.get("scale", 1.0)
                for l, layer in enumerate(spec["convolutions"]):
                    weight, bias = self.array(f"{name}conv.{l}.weight"), self.array(f"{name}conv.{l}.bias")
                    x = activation(F.conv2d(x, weight, bias, stride=layer["stride"]))
                return activation(linear(f"{name}linear.0", x.flatten(1)))
            case "layer_norm":
                return activation(F.layer_norm(x, (spec["n"],), self.array(name + "weight"), self.array(name + "bias")))
            case "identity":
                return x
            case "chain":
                for part, inner in spec["parts"]:
                    x = self.network(inner, f"{name}{part}.", x)
                return x
            case "fork":
                x = self.network(spec["trunk"], f"{name}trunk.", x)
                return torch.cat([self.network(inner, f"{name}{head}.", x) for head, inner in spec["heads"]], -1)
            case kind:
                raise ValueError(f"a network of the kind {kind!r}")

    def distribution(self, y, masks=None):
        """A torch.distributions object; a list of them, one a dimension, for several choices. `masks` are true for what is allowed."""
        spec, impossible = self.spec["distribution"], -float("inf")
        match spec["kind"]:
            case "categorical":
                return Categorical(logits=y if masks is None else y.masked_fill(~masks, impossible))
            case "multi_categorical":
                y = y if masks is None else y.masked_fill(~masks, impossible)
                return [Categorical(logits=part) for part in y.split(spec["ns"], -1)]
            case "bernoulli":                   # a bit's mask: whether it may be 0, whether it may be 1
                if masks is not None:
                    y = y.masked_fill(~masks[:, 1::2], impossible).masked_fill(~masks[:, 0::2], -impossible)
                return Bernoulli(probs=y.sigmoid())
            case "diag_gaussian" | "free_gaussian":
                return Normal(y, self.array("policy.log_std").exp().expand_as(y))
            case "state_gaussian":
                mean, log_std = y.chunk(2, -1)
                return Normal(mean, log_std.clamp(-20, 2).exp())
            case "gsde":                        # the normal that one step of the kept noise has
                mean, h = y.split([spec["dim"], spec["latent"]], -1)
                return Normal(mean, (h ** 2 @ (2 * self.array("policy.log_std")).exp() + 1e-6).sqrt())
            case kind:
                raise ValueError(f"a distribution of the kind {kind!r}")

    def mode(self, distribution):
        """The most probable samples [rows, dimensions]."""
        if isinstance(distribution, list):
            return torch.stack([part.probs.argmax(-1) for part in distribution], -1)
        if isinstance(distribution, Categorical):
            return distribution.probs.argmax(-1, keepdim=True)
        return (distribution.probs > 0.5).long() if isinstance(distribution, Bernoulli) else distribution.mean

    def actions(self, samples):
        """What the environment gets of samples."""
        how = self.spec["bounding"]
        if how["kind"] == "free":
            return samples
        open_end = float("inf")
        low = torch.tensor([-open_end if low is None else low for low, _ in how["bounds"]], dtype=samples.dtype)
        high = torch.tensor([open_end if high is None else high for _, high in how["bounds"]], dtype=samples.dtype)
        if how["kind"] == "clip":
            return samples.clamp(low, high)
        return low + (high - low) * (samples.tanh() + 1) / 2
# ----


def log_prob(distribution, samples):
    if isinstance(distribution, list):
        return sum(part.log_prob(a) for part, a in zip(distribution, samples.unbind(-1)))
    if isinstance(distribution, Categorical):
        return distribution.log_prob(samples[:, 0])
    if isinstance(distribution, Bernoulli):     # exact where a bit has one value left, which torch's clamped logits are not
        return torch.where(samples > 0, distribution.probs, 1 - distribution.probs).log().sum(-1)
    return distribution.log_prob(samples).sum(-1)


def observations(policy, rows, generator):
    """Observations that the network at the front takes: bytes for a network that scales them, else of the size of 1."""
    front, n = policy.spec["network"], None
    while n is None:
        match front["kind"]:
            case "chain": front = front["parts"][0][1]
            case "fork": front = front["trunk"]
            case "mlp": n = front["sizes"][0]
            case "cnn": n = front["image"][0] * front["image"][1] * front["image"][2]
            case _: n = front["n"]
    if front.get("scale"):
        return torch.randint(256, (rows, n), generator=generator).float()
    return 2 * torch.randn(rows, n, generator=generator)


def masks(policy, rows, generator):
    """For every second policy of choices: random masks that leave something to every choice."""
    spec = policy.spec["distribution"]
    sizes = dict(categorical=lambda: [spec["n"]], multi_categorical=lambda: spec["ns"], bernoulli=lambda: [2] * spec["n"])
    if spec["kind"] not in sizes or "masked" not in policy.about["env"]:
        return None
    parts = []
    for n in sizes[spec["kind"]]():
        part = torch.rand(rows, n, generator=generator) < 0.6
        part[torch.arange(rows), torch.randint(n, (rows,), generator=generator)] = True
        parts.append(part)
    return torch.cat(parts, -1)


def make(path, generator, rows=6):
    policy = Policy(path, torch.float64)
    obs, allowed = observations(policy, rows, generator), masks(policy, rows, generator)
    d = policy(obs, allowed)
    torch.manual_seed(int(torch.randint(1 << 30, (1,), generator=generator)))
    samples = torch.stack([p.sample() for p in d], -1) if isinstance(d, list) else d.sample()
    samples = (samples[:, None] if samples.dim() == 1 else samples).float()
    return dict(obs=obs.tolist(), masks=None if allowed is None else allowed.tolist(), y=policy.outputs(obs).tolist(),
                samples=samples.tolist(), log_prob=log_prob(d, samples.double()).tolist(),
                actions=policy.actions(policy.mode(d)).tolist())


def check(path, expected):
    policy, tensor = Policy(path), lambda key: torch.tensor(expected[key])
    allowed = None if expected["masks"] is None else tensor("masks")
    d = policy(tensor("obs"), allowed)
    for key, got in (("y", policy.outputs(tensor("obs"))), ("log_prob", log_prob(d, tensor("samples"))),
                     ("actions", policy.actions(policy.mode(d)))):
        reference = torch.tensor(expected[key], dtype=torch.float64)
        distance = float((got.double() - reference).norm() / reference.norm().clamp(min=1e-12))
        if not distance < 1e-6:
            sys.exit(f"{path}: {key} differs by {distance:.1e} of its norm")


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1])
    files = sorted(place.glob("*.safetensors"))
    if sys.argv[2:] == ["--write"]:
        g = torch.Generator().manual_seed(7)
        (place / "outputs.json").write_text(json.dumps({file.stem: make(file, g) for file in files}) + "\n")
    outputs = json.loads((place / "outputs.json").read_text())
    assert files and [file.stem for file in files] == sorted(outputs), "the outputs are of other policies"
    for file in files:
        check(file, outputs[file.stem])
    print(f"{len(files)} policies are the same in PyTorch {torch.__version__}")
