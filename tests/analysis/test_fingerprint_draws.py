"""Random draws are recognised: distribution, initializer, fan mode, gain; from any generator."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np
import pytest

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint.candidates import candidates
from initadvisor.analysis.fingerprint.evidence import Place
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.sources import ArraySource
from initadvisor.graph import Block, Graph, Layer, Layout, Parameter
from initadvisor.ops.weighted import convolution_layout, linear_layout, right_matrix_layout, transposed_layout

SHAPES = [(64, 32), (100, 160), (256, 128), (10, 256), (64, 3, 7, 7), (48, 64, 3, 3), (128, 32, 1, 1), (1000, 300)]
SEEDS = range(3)


def cut(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A unit normal cut at two."""
    drawn = generator.standard_normal(shape)
    while (outside := np.abs(drawn) > 2).any():
        drawn[outside] = generator.standard_normal(int(outside.sum()))
    return drawn


def orthogonal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = shape[0], prod(shape[1:])
    unitary = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))[0]
    return (unitary if rows >= columns else unitary.T).reshape(shape)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    return prod(shape[1:]), shape[0] * prod(shape[2:])


Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

METHODS: dict[str, tuple[str, str, float, Draw]] = {
    "pytorch_default": ("fan_in", "uniform", 3**-0.5, lambda g, s: g.uniform(-1, 1, s) / sqrt(fans(s)[0])),
    "kaiming_normal": ("fan_in", "normal", 2**0.5, lambda g, s: g.standard_normal(s) * sqrt(2 / fans(s)[0])),
    "kaiming_uniform": ("fan_in", "uniform", 2**0.5, lambda g, s: g.uniform(-1, 1, s) * sqrt(6 / fans(s)[0])),
    "xavier_normal": ("fan_avg", "normal", 1.0, lambda g, s: g.standard_normal(s) * sqrt(2 / sum(fans(s)))),
    "xavier_uniform": ("fan_avg", "uniform", 1.0, lambda g, s: g.uniform(-1, 1, s) * sqrt(6 / sum(fans(s)))),
    "lecun_normal": ("fan_in", "normal", 1.0, lambda g, s: g.standard_normal(s) / sqrt(fans(s)[0])),
    "lecun_uniform": ("fan_in", "uniform", 1.0, lambda g, s: g.uniform(-1, 1, s) * sqrt(3 / fans(s)[0])),
    "lecun_truncated_normal": (
        "fan_in", "truncated_normal", 1.0, lambda g, s: cut(g, s) / sqrt(fans(s)[0]) / 0.87962566103423978
    ),
}  # fmt: skip


def place(shape: tuple[int, ...]) -> Layout:
    return linear_layout(shape, {}) if len(shape) == 2 else convolution_layout(shape, {})


def look(weights: dict[str, tuple[np.ndarray, Layout | None]]) -> dict[str, DrawFacts]:
    """The fingerprints of tensors that make up one model."""
    parameters = {n: Parameter(n, w.shape, w.dtype.name, ArraySource(w)) for n, (w, _) in weights.items()}
    layers = [Layer(n, "linear", "linear", n, layout=layout) for n, (_, layout) in weights.items()]
    facts = tensor_facts(Graph("test", "torch", parameters=parameters, layers=layers))
    found = {name: fact.draw for name, fact in facts.items()}
    assert all(draw is not None for draw in found.values())
    return {name: draw for name, draw in found.items() if draw is not None}


def one(weight: np.ndarray, layout: Layout | None) -> DrawFacts:
    return look({"w": (weight, layout)})["w"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_named_initializers(method: str, shape: tuple[int, ...]) -> None:
    mode, distribution, gain, draw = METHODS[method]
    for seed in SEEDS:
        weight = draw(np.random.default_rng(seed), shape).astype(np.float32)
        found = one(weight, place(shape))
        assert found.trained is False
        assert found.distribution == distribution
        named = [f"{found.method}/{found.mode}", *(found.alternatives or ())]
        # Where both fans are close, two initializers have the same standard deviation to within the sampling error.
        assert f"{method}/{mode}" in named
        assert found.std == pytest.approx(float(weight.std()), rel=5 / sqrt(weight.size))
        if found.method == method:
            assert found.gain == pytest.approx(gain, rel=1e-6)


@pytest.mark.parametrize("shape", [(64, 32), (48, 64, 3, 3), (1000, 300)], ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_types(shape: tuple[int, ...], dtype: str) -> None:
    for method in ("pytorch_default", "kaiming_normal"):
        weight = METHODS[method][3](np.random.default_rng(5), shape).astype(dtype)
        assert one(weight, place(shape)).method == method


@pytest.mark.parametrize("std", [0.02, 0.01, 1.0, 0.0314])
def test_fixed_standard_deviations(std: float) -> None:
    found = one((np.random.default_rng(0).standard_normal((300, 200)) * std).astype(np.float32), place((300, 200)))
    assert (found.method, found.family, found.mode, found.gain) == ("normal", "fixed", "none", None)
    assert found.std == pytest.approx(std, rel=0.02)
    assert found.trained is False


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_a_scaled_layer_is_a_draw_of_another_scale(factor: float) -> None:
    drawn = np.random.default_rng(0).standard_normal((128, 512)) * sqrt(2 / 512) * factor
    found = one(drawn.astype(np.float32), place((128, 512)))
    assert found.trained is False
    assert found.distribution == "normal"
    assert found.std == pytest.approx(factor * sqrt(2 / 512), rel=0.02)


def test_fan_out_is_told_from_fan_in() -> None:
    shape = (256, 64, 3, 3)
    drawn = np.random.default_rng(0).standard_normal(shape) * sqrt(2 / (256 * 9))
    found = one(drawn.astype(np.float32), place(shape))
    assert (found.method, found.mode) == ("kaiming_normal", "fan_out")


def test_depthwise_fan_out_as_torch_computes_it_and_as_timm_does() -> None:
    shape, layout = (512, 1, 3, 3), convolution_layout((512, 1, 3, 3), {"groups": 512})
    generator = np.random.default_rng(0)
    conventional = (generator.standard_normal(shape) * sqrt(2 / (512 * 9))).astype(np.float32)
    divided = (generator.standard_normal(shape) * sqrt(2 / 9)).astype(np.float32)
    found = one(conventional, layout)
    assert (found.method, found.mode) == ("kaiming_normal", "fan_out")
    assert one(divided, layout).method == "kaiming_normal"


def test_a_transposed_convolution_has_the_fans_that_torch_computed() -> None:
    shape = (64, 32, 4, 4)
    drawn = np.random.default_rng(0).uniform(-1, 1, shape) / sqrt(32 * 16)
    found = one(drawn.astype(np.float32), transposed_layout(shape, {"stride": (2, 2)}))
    assert (found.method, found.mode) == ("pytorch_default", "fan_in")


def test_a_matrix_that_an_exporter_transposed() -> None:
    drawn = np.random.default_rng(0).uniform(-1, 1, (96, 384)) / sqrt(96)
    found = one(drawn.astype(np.float32), right_matrix_layout((96, 384), {}))
    assert (found.method, found.mode) == ("pytorch_default", "fan_in")


def test_a_fused_projection_drawn_with_the_fused_fan() -> None:
    shape = (576, 192)
    drawn = (np.random.default_rng(0).uniform(-1, 1, shape) * sqrt(6 / (576 + 192))).astype(np.float32)
    blocks = tuple(Block(n, 0, i * 192, (i + 1) * 192, 192.0, 192.0) for i, n in enumerate("qkv"))
    layer = Layer("attention", "linear", "linear", "w", layout=Layout((0,), (1,)), blocks=blocks)
    graph = Graph("t", "torch", parameters={"w": Parameter("w", shape, "float32", ArraySource(drawn))}, layers=[layer])
    found = tensor_facts(graph)["w"].draw
    assert found is not None
    assert (found.method, found.mode) == ("xavier_uniform_fused", "fan_avg")


def test_blocks_of_different_scale_are_no_sign_of_training() -> None:
    scale = np.repeat([0.02, 0.02, 0.005], 192)[:, None]
    drawn = (np.random.default_rng(0).standard_normal((576, 192)) * scale).astype(np.float32)
    blocks = tuple(Block(n, 0, i * 192, (i + 1) * 192, 192.0, 192.0) for i, n in enumerate("qkv"))
    layer = Layer("attention", "linear", "linear", "w", layout=Layout((0,), (1,)), blocks=blocks)
    graph = Graph(
        "t", "torch", parameters={"w": Parameter("w", drawn.shape, "float32", ArraySource(drawn))}, layers=[layer]
    )
    found = tensor_facts(graph)["w"].draw
    assert found is not None
    assert found.trained is False


def test_an_embedding_of_unit_normals_with_a_padding_row() -> None:
    drawn = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
    drawn[0] = 0.0
    layer = Layer("embed", "embedding", "embedding", "w", layout=Layout((1,), (), batch_axes=(0,)))
    graph = Graph(
        "t", "torch", parameters={"w": Parameter("w", drawn.shape, "float32", ArraySource(drawn))}, layers=[layer]
    )
    found = tensor_facts(graph)["w"].draw
    assert found is not None
    assert (found.method, found.trained) == ("embedding_normal", False)


@pytest.mark.parametrize("shape", [(64, 64), (64, 256), (256, 64), (64, 16, 3, 3), (400, 12, 3, 3)], ids=str)
@pytest.mark.parametrize("gain", [1.0, sqrt(2), 0.01])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_orthogonal(shape: tuple[int, ...], gain: float, dtype: str) -> None:
    drawn = (orthogonal(np.random.default_rng(0), shape) * gain).astype(dtype)
    found = one(drawn, place(shape))
    assert (found.method, found.family, found.trained) == ("orthogonal", "orthogonal", False)
    assert found.gain == pytest.approx(gain, rel=1e-2 if dtype == "float16" else 1e-5)


def test_independent_draws_are_not_orthogonal() -> None:
    for seed in range(20):
        drawn = np.random.default_rng(seed).standard_normal((8, 2000)) / sqrt(2000)
        assert one(drawn.astype(np.float32), place((8, 2000))).method != "orthogonal"


def kernel(shape: tuple[int, ...], centre: np.ndarray) -> np.ndarray:
    weight = np.zeros(shape, np.float32)
    weight[:, :, shape[2] // 2, shape[3] // 2] = centre
    return weight


@pytest.mark.parametrize(
    ("weight", "method"),
    [
        (np.eye(50, dtype=np.float32), "identity"),
        (np.eye(40, 60, dtype=np.float32), "identity"),
        (np.eye(60, 40, dtype=np.float32) * 0.5, "identity"),
        (kernel((16, 16, 3, 3), np.eye(16)), "dirac"),
        (kernel((32, 16, 5, 5), np.eye(32, 16)), "dirac"),
        (kernel((48, 32, 3, 3), orthogonal(np.random.default_rng(0), (48, 32))), "delta_orthogonal"),
        (np.zeros((30, 40), np.float32), "zeros"),
        (np.ones((30, 40), np.float32), "ones"),
        (np.full((30, 40), 0.3, np.float32), "constant"),
        (np.zeros(3, np.float32), "zeros"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.shape),
)
def test_structured_draws(weight: np.ndarray, method: str) -> None:
    layout = place(weight.shape) if weight.ndim > 1 else None
    found = one(weight, layout)
    assert (found.method, found.trained, found.confidence) == (method, False, 1.0)


def test_a_nearly_identity_is_none() -> None:
    weight = np.eye(60, dtype=np.float32)
    weight[30, 20] = 0.5
    assert one(weight, place((60, 60))).method != "identity"


def test_quantized_and_tiny_tensors_are_unknown() -> None:
    generator = np.random.default_rng(0)
    assert one(np.sign(generator.standard_normal((64, 64))).astype(np.float32), place((64, 64))).method == "unknown"
    steps = np.round(generator.standard_normal((64, 64)) * 30) / 30
    assert one(steps.astype(np.float32), place((64, 64))).method == "unknown"
    assert one(generator.standard_normal((1, 3)).astype(np.float32), place((1, 3))).method == "unknown"
    assert one(np.full((20, 20), np.nan, np.float32), place((20, 20))).method == "unknown"


def test_default_biases_know_the_fan_of_their_weight() -> None:
    generator = np.random.default_rng(0)
    weight = (generator.uniform(-1, 1, (512, 100)) / 10).astype(np.float32)
    bias = (generator.uniform(-1, 1, 512) / 10).astype(np.float32)
    parameters = {
        n: Parameter(n, w.shape, "float32", ArraySource(w)) for n, w in (("fc.weight", weight), ("fc.bias", bias))
    }
    layer = Layer("fc", "linear", "linear", "fc.weight", "fc.bias", layout=Layout((0,), (1,)))
    for layers in ([layer], []):
        found = tensor_facts(Graph("t", "torch", parameters=parameters, layers=layers))["fc.bias"].draw
        assert found is not None
        assert (found.method, found.mode) == ("pytorch_default", "fan_in")


def test_recurrent_weights_know_their_hidden_size() -> None:
    generator = np.random.default_rng(0)
    bound = 1 / sqrt(128)
    weights = {
        "weight_ih_l0": (512, 40), "weight_hh_l0": (512, 128), "bias_ih_l0": (512,), "bias_hh_l0": (512,),
    }  # fmt: skip
    parameters = {
        n: Parameter(n, s, "float32", ArraySource(generator.uniform(-bound, bound, s).astype(np.float32)))
        for n, s in weights.items()
    }
    for name, fact in tensor_facts(Graph("t", "checkpoint", parameters=parameters, edges=False)).items():
        assert fact.draw is not None
        assert fact.draw.method == "pytorch_default", name


def test_candidates_of_equal_fans_share_their_scale() -> None:
    found = {c.method: c.std for c in candidates((64, 64), Place("weight", Layout((0,), (1,)))) if c.gain == 1.0}
    assert found["xavier_normal"] == found["lecun_normal"] == pytest.approx(1 / 8)


def test_false_alarms_over_many_draws() -> None:
    """Of 720 draws of every method, shape and scale none is called trained and none given the wrong distribution."""
    wrong = []
    for seed in range(10):
        generator = np.random.default_rng(1000 + seed)
        weights, truth = {}, {}
        for method, (_, distribution, _, draw) in METHODS.items():
            for shape in SHAPES:
                name = f"{method}{shape}"
                scale = np.exp(generator.uniform(-3, 3)) if seed % 2 else 1.0
                weights[name] = ((draw(generator, shape) * scale).astype(np.float32), place(shape))
                truth[name] = distribution
        found = look(weights)
        wrong += [(seed, n, d) for n, d in found.items() if d.trained or d.distribution != truth[n]]
    assert not wrong
