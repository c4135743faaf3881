"""Each place needs its own library and no other, and says which one is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from initadvisor.integrations import writers
from tests.cli.running import environment

PLACES = {
    "initadvisor.integrations.lightning": ("lightning", "pip install lightning"),
    "initadvisor.integrations.pytorch_lightning": ("pytorch_lightning", "pip install pytorch-lightning"),
    "initadvisor.integrations.transformers": ("transformers", 'pip install "initadvisor[transformers]"'),
}
WRITERS = {
    "TensorBoardWriter": ("tensorboard", "pip install torch tensorboard"),
    "MlflowWriter": ("mlflow", "pip install mlflow"),
    "WandbWriter": ("wandb", "pip install wandb"),
}


def test_what_is_missing_is_named_with_the_command_that_brings_it() -> None:
    script = f"""
import importlib, sys
from initadvisor.errors import MissingExtraError
from initadvisor.integrations import writers
libraries = [library for library, _ in {[*PLACES.values(), *WRITERS.values()]!r}]
sys.modules.update(dict.fromkeys(libraries))  # as if none were installed
for place, (_, command) in {PLACES!r}.items():
    try:
        importlib.import_module(place)
    except MissingExtraError as error:
        assert command in str(error), error
    else:
        raise SystemExit(place)
for name, (_, command) in {WRITERS!r}.items():
    try:
        getattr(writers, name)()
    except MissingExtraError as error:
        assert command in str(error), error
    else:
        raise SystemExit(name)
import initadvisor
initadvisor.watch, initadvisor.assert_init_ok
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_names_of_the_writers_bring_no_library() -> None:
    script = "import sys, initadvisor.integrations.writers as w; w.MlflowWriter, w.WandbWriter, w.TensorBoardWriter\n"
    script += "assert not {'mlflow', 'wandb', 'tensorboard', 'torch', 'lightning'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError, match="CometWriter"):
        writers.CometWriter
