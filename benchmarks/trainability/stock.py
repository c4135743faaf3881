"""Stock models as their libraries start them, which are known to train: what is predicted of them calibrates, too.

    python -m benchmarks.trainability stock      # those that are not stored yet, about 5 minutes

The networks of this benchmark are small. What is usual in large ones (gradients that grow through fifty batch norms,
sums over thousands of positions) is learned from these. None of them is in `zoo.py`, which stays a test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from initadvisor.analysis import structure
from initadvisor.engine.look import look
from initadvisor.frontends.options import LoadOptions
from initadvisor.frontends.torch_module.load import load_with_inputs

from ..zoo_models import TIMM, VISION
from .runs import RESULTS
from .verdicts import model_facts, silent

ROWS = RESULTS / "trainability-stock.jsonl"
OF_TIMM = 60
"""Of timm's architectures, those of the smallest hashes."""

MOST = 150_000_000
"""Parameters of the largest one that is taken."""

EDGE = 224


def names() -> list[str]:
    """torchvision's classifiers and some of timm's, none of the zoo's."""
    import timm
    import torchvision

    vision = torchvision.models.list_models(module=torchvision.models)
    others = [name for name in timm.list_models() if name not in TIMM]
    others.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
    return [f"torchvision {n}" for n in vision if n not in VISION] + [f"timm {n}" for n in others[:OF_TIMM]]


def build(name: str) -> torch.nn.Module:
    """The model with the weights that its library draws (seed 0)."""
    import timm
    import torchvision

    library, _, own = name.partition(" ")
    torch.manual_seed(0)
    if library == "timm":
        return timm.create_model(own, pretrained=False)
    return torchvision.models.get_model(own, weights=None)


def row(name: str) -> dict[str, Any]:
    """What is known of the model without running it, or why it was left out."""
    module = build(name)
    size = sum(p.numel() for p in module.parameters())
    if size > MOST:
        return {"key": name, "left out": f"{size / 1e6:.0f} million parameters"}
    size = getattr(module, "default_cfg", {}).get("input_size", (3, EDGE, EDGE))
    graph, _ = load_with_inputs(module, LoadOptions(example=torch.zeros(2, *size)), name)
    structure.describe(graph)
    return {"key": name, "static": model_facts(look(graph, silent), "")}


def collect(wanted: Iterable[str], file: Path = ROWS) -> None:
    """The rows that are not there yet."""
    done = {one["key"] for one in read(file)}
    with file.open("a") as out:
        for name in wanted:
            if name not in done:
                out.write(json.dumps(row(name), separators=(",", ":")) + "\n")
                out.flush()


def read(file: Path = ROWS) -> list[dict[str, Any]]:
    """All rows."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
