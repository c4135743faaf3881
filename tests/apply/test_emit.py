"""Emitted source code, run in fresh processes under the frameworks that it is for."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from initadvisor.apply.emit import emit
from initadvisor.errors import UsageError
from initadvisor.initializers import InitSpec, Key
from initadvisor.plan import Plan, PlanStep, overrides
from tests.integration import faults
from tests.plan.plans import plan_of

MODEL = """
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(60, 32, padding_idx=0)
        self.conv = nn.Conv1d(32, 64, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm1d(64)
        self.squeeze = nn.Linear(64, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 96, 0.0, "gelu", batch_first=True, norm_first=True)
        self.cell = nn.LSTM(32, 24, batch_first=True)
        self.plain = nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(24, 24), nn.Sigmoid())])
        self.head = nn.Linear(24, 60)

    def forward(self, x):
        h = self.norm(self.conv(self.table(x).transpose(1, 2))).transpose(1, 2).relu()
        return self.head(self.plain(self.cell(self.layer(self.squeeze(h)))[0]))
"""
space: dict[str, type[nn.Module]] = {}
exec(MODEL, space)  # the same text runs here and in the fresh process


def run(folder: Path, script: str, **environment: str) -> list[str]:
    """The lines that a script prints in a process that cannot import this package."""
    (folder / "script.py").write_text(script)
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); import script"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=clean, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The two-sample statistic of Kolmogorov and Smirnov, times the root of the effective count."""
    both = np.sort(np.concatenate([a, b]))
    gap = np.searchsorted(np.sort(a), both, "right") / len(a) - np.searchsorted(np.sort(b), both, "right") / len(b)
    return float(np.abs(gap).max()) * sqrt(len(a) * len(b) / (len(a) + len(b)))


def test_pytorch_code_draws_the_distributions_of_the_plan_without_this_package(tmp_path):
    model = space["Model"]()
    policy = overrides(
        {"squeeze": {"method": "sparse_orthogonal", "density": 0.25}, "head": {"method": "uniform", "bound": 0.1}}
    )
    plan = plan_of(model, (2, 7), policy=policy)
    (tmp_path / "weights.py").write_text(emit(plan, "pytorch"))
    run(
        tmp_path,
        MODEL
        + """
import sys, torch, numpy as np, weights
torch.manual_seed(0)
model = Model()
weights.init_weights(model)
assert "initadvisor" not in sys.modules
np.savez("out.npz", **{n: p.detach().numpy() for n, p in model.named_parameters()})
""",
    )
    found = np.load(tmp_path / "out.npz")
    assert len(plan.draws) > 20
    for step in plan.draws:
        ours = step.spec.draw(step.shape, Key(0, step.parameter), step.layout).astype(np.float64).reshape(-1)
        theirs = found[step.parameter].astype(np.float64).reshape(-1)
        if np.unique(ours).size < 4:
            assert (np.sort(ours) == np.sort(theirs)).all(), step.parameter
        else:
            assert distance(ours, theirs) < 2.2, step.parameter
    table = found["table.weight"]
    assert not table[0].any()
    assert np.abs(found["plain.2.weight"].sum(1)).max() < 1e-5
    hidden = found["cell.weight_hh_l0"][:24]
    assert np.abs(hidden @ hidden.T - np.eye(24)).max() < 1e-5


HOSTS = {
    "resnet18": (faults.RESNET18.build, (1, 3, 64, 64)),
    "wide_mlp": (faults.wide_mlp, (4, 64)),
    "xavier_stack": (faults.xavier_stack, (4, 64)),
    "sigmoid_stack": (faults.sigmoid_stack, (4, 64)),
}


def sample(values: np.ndarray) -> np.ndarray:
    """At most 20,000 elements, evenly spread."""
    flat = values.reshape(-1)
    return flat[:: len(flat) // 20_000 + 1]


def test_pytorch_code_draws_the_plans_of_the_models_that_faults_are_planted_in(tmp_path):
    """All of them in one process, from a copy of the file that builds them."""
    plans = {name: plan_of(build(), shape) for name, (build, shape) in HOSTS.items()}
    for name, plan in plans.items():
        (tmp_path / f"weights_{name}.py").write_text(emit(plan, "pytorch"))
    shutil.copy(faults.__file__, tmp_path / "faults.py")
    run(
        tmp_path,
        """
import importlib, sys, faults, numpy as np, torch
for name in ("resnet18", "wide_mlp", "xavier_stack", "sigmoid_stack"):
    model = faults.RESNET18.build() if name == "resnet18" else getattr(faults, name)()
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(7.0)
    torch.manual_seed(1)
    importlib.import_module(f"weights_{name}").init_weights(model)
    flat = {n: p.detach().numpy().reshape(-1) for n, p in model.named_parameters()}
    np.savez(f"{name}.npz", **{n: v[:: len(v) // 20_000 + 1] for n, v in flat.items()})
assert "initadvisor" not in sys.modules
""",
    )
    drawn = 0
    for name, plan in plans.items():
        found = np.load(tmp_path / f"{name}.npz")
        for step in plan.draws:
            ours = sample(step.spec.draw(step.shape, Key(0, step.parameter), step.layout)).astype(np.float64)
            theirs = found[step.parameter].astype(np.float64)
            drawn += 1
            if np.unique(ours).size < 4:
                assert (np.sort(ours) == np.sort(theirs)).all(), (name, step.parameter)
            else:
                assert distance(ours, theirs) < 2.4, (name, step.parameter)  # 1e-5 for each of some 150
    assert drawn > 150


def test_running_the_code_twice_gives_other_numbers_and_a_torch_seed_the_same(tmp_path):
    plan = plan_of(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), (2, 8))
    (tmp_path / "weights.py").write_text(emit(plan, "pytorch"))
    lines = run(
        tmp_path,
        """
import torch, weights
from torch import nn
model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
for seed in (0, 0, 1):
    torch.manual_seed(seed)
    weights.init_weights(model)
    print(float(model[0].weight.sum()))
""",
    )
    assert lines[0] == lines[1] != lines[2]


class Named(nn.Module):
    """A module whose layers have the names that the Keras and Flax models below have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3)
        self.wide = nn.Conv2d(32, 32, 3, groups=4)
        self.dense = nn.Linear(32, 48)
        self.square = nn.Linear(48, 48)
        self.head = nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.wide(self.conv(x).relu()).relu().mean((2, 3))
        return self.head(self.square(self.dense(h).relu()).relu())


def named_plan() -> Plan:
    specs = {
        "square": {"method": "orthogonal", "gain": 1.5},
        "wide": {"method": "sparse_orthogonal", "density": 0.25},
        "dense": {"method": "truncated_normal", "std": 0.1, "cut": 3.0},
        "head": {"method": "xavier_uniform"},
        "dense.bias": {"method": "normal", "std": 0.5},
    }
    return plan_of(Named(), (2, 3, 12, 12), policy=overrides(specs))


def check_named(plan: Plan, found: dict[str, np.ndarray]) -> None:
    """Arrays by parameter name, kernels in channels-last order."""
    for step in plan:
        values = found[step.parameter]
        size = 6 / sqrt(values.size)
        rms = float(np.sqrt(np.mean(values**2)))
        own = step.spec.draw(step.shape, Key(0, step.parameter), step.layout)
        assert rms == pytest.approx(float(np.sqrt(np.mean(own**2))), rel=size + 1e-4, abs=1e-9), step.parameter
    square = found["square.weight"]
    assert np.abs(square @ square.T - 2.25 * np.eye(48)).max() < 1e-4
    tap = found["wide.weight"][1, 1]  # (in / groups, out)
    for group in range(4):
        block = tap[:, 8 * group : 8 * group + 8]
        assert np.abs(block @ block.T - np.eye(8)).max() < 1e-5
    assert np.abs(found["dense.weight"]).max() <= 0.3 / 0.98658 * (1 + 1e-6)


def test_keras_code_runs_under_keras(tmp_path):
    plan = named_plan()
    (tmp_path / "weights.py").write_text(emit(plan, "keras"))
    run(
        tmp_path,
        """
import keras, numpy as np, weights
from keras import layers
model = keras.Sequential([
    layers.Input((12, 12, 3)), layers.Conv2D(32, 3, activation="relu", name="conv"),
    layers.Conv2D(32, 3, groups=4, activation="relu", name="wide"), layers.GlobalAveragePooling2D(),
    layers.Dense(48, activation="relu", name="dense"), layers.Dense(48, activation="relu", name="square"),
    layers.Dense(10, name="head"),
])
weights.init_weights(model)
names = [v.path.replace("/kernel", ".weight").replace("/bias", ".bias").split("/")[-1] for v in model.weights]
out = {name: np.asarray(v) for name, v in zip(names, model.weights)}
np.savez("out.npz", **out)
""",
        KERAS_BACKEND="jax",
    )
    check_named(plan, dict(np.load(tmp_path / "out.npz")))


def test_flax_code_runs_under_flax(tmp_path):
    plan = named_plan()
    (tmp_path / "weights.py").write_text(emit(plan, "flax"))
    run(
        tmp_path,
        """
import jax, jax.numpy as jnp, numpy as np, weights
import flax.linen as nn

class Named(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(32, (3, 3), name="conv")(x))
        x = nn.relu(nn.Conv(32, (3, 3), feature_group_count=4, name="wide")(x)).mean((1, 2))
        x = nn.relu(nn.Dense(48, name="dense")(x))
        return nn.Dense(10, name="head")(nn.relu(nn.Dense(48, name="square")(x)))

params = Named().init(jax.random.key(0), jnp.ones((1, 12, 12, 3)))["params"]
drawn = weights.init_weights(params, jax.random.key(1))
again = weights.init_weights(params, jax.random.key(1))
assert jax.tree_util.tree_all(jax.tree_util.tree_map(lambda a, b: bool((a == b).all()), drawn, again))
ends = {"kernel": "weight", "bias": "bias"}
np.savez("out.npz", **{f"{m}.{ends[n]}": np.asarray(v) for m, t in drawn.items() for n, v in t.items()})
""",
        JAX_PLATFORMS="cpu",
    )
    check_named(plan, dict(np.load(tmp_path / "out.npz")))


@pytest.mark.parametrize("framework", ["pytorch", "keras", "flax"])
def test_hostile_names_stay_text(framework):
    evil = 'x"\n"""\nimport os; os.system("true")\n\u202e\udcff'
    step = PlanStep(evil, (4, 4), "float32", InitSpec("normal", {"std": 1.0}), f"because of {evil}", layer=evil)
    text = emit(Plan(evil, (step,)), framework)
    tree = ast.parse(text)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert "os" not in imported
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert evil in strings


def test_json_is_the_plan():
    plan = named_plan()
    assert Plan.from_json(emit(plan, "json")) == Plan.from_json(json.loads(emit(plan, "json")))
    assert [s.spec for s in Plan.from_json(emit(plan, "json"))] == [s.spec for s in plan]


def test_another_format_is_refused():
    with pytest.raises(UsageError, match="pytorch, keras, flax, json"):
        emit(named_plan(), "caffe")
