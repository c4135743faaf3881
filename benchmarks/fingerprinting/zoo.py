"""torchvision's models: every matrix and kernel called random, with what drew it."""

from __future__ import annotations

import inspect
import json
import time
from collections import Counter
from typing import Any

import torch
from torch import nn

from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.sources import ArraySource
from initadvisor.graph import Graph, Layer, Parameter
from initadvisor.ops.weighted import convolution_layout, embedding_layout, linear_layout, transposed_layout

from . import LEAST, RESULTS
from .truth import record, right

ROWS = RESULTS.with_name("fingerprint-zoo.jsonl")


def zoo(seconds: float) -> dict[str, Any]:
    """Error counts over freshly built torchvision models, against a record of the functions that drew them.

    A line a model is kept in fingerprint-zoo.jsonl: a run goes on where the one before stopped, after `seconds`.
    """
    import torchvision

    rows = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []
    known, start = {row["model"] for row in rows}, time.perf_counter()
    names = sorted(torchvision.models.list_models(), key=_parameters)
    drawn_by = record()
    for name in names:
        if name in known or time.perf_counter() - start > seconds:
            continue
        rows.append(_of_model(name, drawn_by))
        with ROWS.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    tally: Counter[str] = Counter()
    rows = list({row["model"]: row for row in rows}.values())
    for row in rows:
        tally.update(row["counts"])
    size = max(tally["tensors"], 1)
    return {
        "models": len(rows),
        "models left": len(names) - len(rows),
        **tally,
        "called random": 1 - tally["called trained"] / size,
        "right": 1 - tally["wrong"] / size,
        "cases": [case for row in rows for case in row["cases"]][:20],
    }


def _parameters(name: str) -> int:
    """Of the model's first set of weights; the smallest models come first."""
    import torchvision

    return max((int(entry.meta["num_params"]) for entry in torchvision.models.get_model_weights(name)), default=0)


def _of_model(name: str, drawn_by: dict[int, tuple[str, float]]) -> dict[str, Any]:
    import torchvision

    drawn_by.clear()
    torch.manual_seed(0)
    builder = torchvision.models.get_model_builder(name)
    backbone = {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}
    model = torchvision.models.get_model(name, weights=None, **backbone)
    graph, kinds = _graph(model)
    found = tensor_facts(graph)
    tally: Counter[str] = Counter({"called trained": 0, "wrong": 0})
    wrong: list[str] = []
    for parameter_name, parameter in model.named_parameters():
        draw, truth = found[parameter_name].draw, drawn_by.get(id(parameter))
        if parameter.numel() <= LEAST or parameter_name not in kinds or draw is None:
            continue
        tally["tensors"] += 1
        tally["proven untouched"] += bool(draw.pristine)
        tally["called trained"] += bool(draw.trained)
        tally["drawn by other code"] += truth is None
        if draw.trained is not False or not (truth is None or right(draw, *truth)):
            tally["wrong"] += 1
            wrong.append(f"{name} {parameter_name}: {truth} -> {draw.method} ({draw.family}, {draw.distribution})")
    return {"model": name, "counts": dict(tally), "cases": wrong[:5]}


def _graph(model: nn.Module) -> tuple[Graph, set[str]]:
    """The parameters of a module with the layouts of its layers, and the names of its matrices and kernels."""
    parameters = {
        n: Parameter(n, tuple(p.shape), str(p.dtype).removeprefix("torch."), ArraySource(p.detach().numpy()))
        for n, p in model.named_parameters()
    }
    names = {id(p): n for n, p in model.named_parameters()}
    layers, kinds = [], set()
    for path, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, nn.Parameter):
            continue
        shape = tuple(weight.shape)
        attributes = {"groups": getattr(module, "groups", 1), "stride": getattr(module, "stride", 1)}
        layout, kind = None, "norm"
        if isinstance(module, nn.Linear):
            layout, kind = linear_layout(shape, {}), "linear"
        elif isinstance(module, nn.modules.conv._ConvTransposeNd):
            layout, kind = transposed_layout(shape, attributes), "linear"
        elif isinstance(module, nn.modules.conv._ConvNd):
            layout, kind = convolution_layout(shape, attributes), "linear"
        elif isinstance(module, nn.Embedding):
            layout, kind = embedding_layout(shape, {}), "embedding"
        bias = getattr(module, "bias", None)
        bias_name = names.get(id(bias)) if isinstance(bias, nn.Parameter) else None
        layers.append(Layer(path, kind, kind, names[id(weight)], bias_name, layout=layout))  # type: ignore[arg-type]
        if kind != "norm":
            kinds.add(names[id(weight)])
    return Graph("", "torch", parameters=parameters, layers=layers), kinds
