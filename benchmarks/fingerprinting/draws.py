"""Draws of every initializer by numpy, at many shapes: called trained? the right distribution and method?"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from math import exp, prod, sqrt
from typing import Any

import numpy as np

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.sources import ArraySource
from initadvisor.graph import Graph, Layer, Parameter
from initadvisor.ops.weighted import convolution_layout, linear_layout

SHAPES = [
    (64, 32), (100, 100), (32, 64), (256, 128), (10, 256), (512, 512), (64, 3, 7, 7), (64, 64, 3, 3), (128, 32, 1, 1),
    (128, 1, 3, 3), (1000, 300), (40, 26), (2048, 16), (768, 1536),
]  # fmt: skip


def _cut(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    drawn = generator.standard_normal(shape)
    while (outside := np.abs(drawn) > 2).any():
        drawn[outside] = generator.standard_normal(int(outside.sum()))
    return drawn


def _orthogonal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = shape[0], prod(shape[1:])
    unitary = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))[0]
    return (unitary if rows >= columns else unitary.T).reshape(shape)


def _drawn(generator: np.random.Generator, shape: tuple[int, ...]) -> Iterator[tuple[str, str, np.ndarray]]:
    """(method/mode, distribution, weight) of one draw of each initializer."""
    fan_in, fan_out = prod(shape[1:]), shape[0] * prod(shape[2:])
    average = (fan_in + fan_out) / 2
    flat, normal = functools.partial(generator.uniform, -1, 1), generator.standard_normal
    free = exp(generator.uniform(-7, 1))
    yield "pytorch_default/fan_in", "uniform", flat(shape) / sqrt(fan_in)
    yield "kaiming_normal/fan_in", "normal", normal(shape) * sqrt(2 / fan_in)
    yield "kaiming_normal/fan_out", "normal", normal(shape) * sqrt(2 / fan_out)
    yield "kaiming_uniform/fan_in", "uniform", flat(shape) * sqrt(6 / fan_in)
    yield "xavier_uniform/fan_avg", "uniform", flat(shape) * sqrt(3 / average)
    yield "xavier_normal/fan_avg", "normal", normal(shape) / sqrt(average)
    yield "lecun_normal/fan_in", "normal", normal(shape) / sqrt(fan_in)
    yield (
        "lecun_truncated_normal/fan_in",
        "truncated_normal",
        _cut(generator, shape) / sqrt(fan_in) / 0.8796256610342398,
    )
    yield "normal", "normal", normal(shape) * 0.02
    yield "normal", "normal", normal(shape) * free
    yield "uniform", "uniform", flat(shape) * free
    yield "truncated_normal", "truncated_normal", _cut(generator, shape) * 0.02
    yield "orthogonal", "orthogonal", _orthogonal(generator, shape) * sqrt(2)


def _fingerprint(weight: np.ndarray) -> DrawFacts:
    """Of a weight that belongs to no model; a kernel of one input channel is a depthwise one."""
    shape = weight.shape
    groups = shape[0] if shape[1] == 1 else 1
    layout = linear_layout(shape, {}) if len(shape) == 2 else convolution_layout(shape, {"groups": groups})
    parameter = Parameter("w", shape, "float32", ArraySource(weight.astype(np.float32)))
    graph = Graph("", "torch", parameters={"w": parameter}, layers=[Layer("w", "linear", "linear", "w", layout=layout)])
    draw = tensor_facts(graph, threads=1)["w"].draw
    assert draw is not None
    return draw


def random_draws(seeds: range) -> dict[str, Any]:
    """Error counts over numpy's draws; no two draws belong to one model, so none asks its neighbours."""
    tally: Counter[str] = Counter()
    for seed in seeds:
        generator = np.random.default_rng(seed)
        for shape in SHAPES:
            for label, distribution, weight in _drawn(generator, shape):
                draw = _fingerprint(weight)
                named = {draw.method, f"{draw.method}/{draw.mode}", *(draw.alternatives or ())}
                tally["tensors"] += 1
                tally["called trained"] += bool(draw.trained)
                tally["wrong distribution"] += draw.distribution != distribution
                tally["method is neither first nor an alternative"] += label not in named
                tally["method is not first"] += label.partition("/")[0] != draw.method
                sure = (draw.confidence or 0.0) > 0.95
                tally["sure and wrong"] += sure and label not in named and label not in ("normal", "uniform")
                tally["falsely proven"] += bool(draw.pristine)
    return {**tally, "false alarm rate": tally["called trained"] / tally["tensors"]}
