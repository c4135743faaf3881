"""Sessions of pytest in which the plugin is there as an installation would bring it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MODELS = """
import torch
from torch import nn

def good():
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    for layer in layers[::2]:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)

def bad():
    model = good()
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.weight)
    return model

def broken():
    raise ValueError("no such luck")
"""


@pytest.fixture
def installed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with models in it, and the entry points of the project where pytest looks for plugins."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    home = pytester.mkdir("site") / "initadvisor_entry_points-0.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: initadvisor-entry-points\nVersion: 0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in scripts.items())
    (home / "entry_points.txt").write_text(f"[pytest11]\n{lines}")
    paths = [str(home.parent), str(pytester.path), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    # Other plugins that are heavy to load have no part in this.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:schemathesis -p no:hypothesispytest -p no:anyio")
    pytester.makepyfile(some_models=MODELS)
    return pytester
