"""Training is seen, and untouched draws of torch's generators are proven to be untouched."""

from __future__ import annotations

import numpy as np
import pytest

from initadvisor.analysis.facts.tensor import DrawFacts
from initadvisor.analysis.fingerprint import settle
from initadvisor.analysis.fingerprint.lattice import PROVEN, angle_lattice, head_pairs, uniform_lattice
from initadvisor.analysis.tensor_facts import tensor_facts
from initadvisor.frontends.sources import ArraySource
from initadvisor.graph import Graph, Parameter

torch = pytest.importorskip("torch", reason="needs the torch extra")
digits = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn").load_digits()
nn = torch.nn


def draws(module: torch.nn.Module, *, moved: float = 0.0) -> dict[str, DrawFacts]:
    """The fingerprints of a module's parameters, as from a state dict; `moved` breaks their bits, relative."""
    generator = np.random.default_rng(0)
    parameters = {}
    for name, tensor in module.named_parameters():
        array = tensor.detach().numpy().copy()
        if moved and array.min() != array.max():
            array = (array * (1 - moved * generator.random(array.shape))).astype(np.float32)
        parameters[name] = Parameter(name, array.shape, "float32", ArraySource(array))
    facts = tensor_facts(Graph("test", "checkpoint", parameters=parameters, edges=False))
    return {name: fact.draw for name, fact in facts.items() if fact.draw is not None}


def matrices(found: dict[str, DrawFacts], module: torch.nn.Module) -> dict[str, DrawFacts]:
    return {n: found[n] for n, p in module.named_parameters() if p.dim() > 1 and p.numel() >= 1000}


def perceptron() -> torch.nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def convolutional() -> torch.nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
        nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(48, 10),
    )  # fmt: skip


INITIALIZERS = {
    "default": lambda w: None,
    "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "truncated": lambda w: nn.init.trunc_normal_(w, std=0.1, a=-0.2, b=0.2),
    "orthogonal": lambda w: nn.init.orthogonal_(w, 2**0.5),
    "normal": lambda w: nn.init.normal_(w, std=0.05),
}


def built(kind: str, initializer: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = perceptron() if kind == "mlp" else convolutional()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            INITIALIZERS[initializer](parameter)
    return model


def train(model: torch.nn.Module, seed: int, steps: int = 200) -> None:
    inputs = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1
    labels = torch.tensor(digits.target)
    chosen = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        batch = torch.randint(len(labels), (32,), generator=chosen)
        loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("initializer", INITIALIZERS)
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_fresh_is_random_and_trained_is_trained(kind: str, initializer: str) -> None:
    seed = sum(map(ord, kind + initializer))
    model = built(kind, initializer, seed)
    fresh = draws(model)
    assert not any(draw.trained for draw in fresh.values())
    # The same draws without the bits of torch's generator: from another framework or device.
    assert not any(draw.trained for draw in draws(model, moved=1e-5).values())
    train(model, seed)
    assert all(draw.trained for draw in matrices(draws(model), model).values())


@pytest.mark.parametrize("initializer", ["default", "kaiming_normal", "xavier_uniform", "truncated", "normal"])
def test_untouched_draws_of_torch_are_proven(initializer: str) -> None:
    model = built("mlp", initializer, 3)
    assert all(draw.pristine for draw in matrices(draws(model), model).values())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1e-5 * torch.randn_like(parameter))
    assert not any(draw.pristine for draw in matrices(draws(model), model).values())


@pytest.mark.parametrize("initializer", ["default", "kaiming_normal"])
@pytest.mark.parametrize(
    "part", [slice(0, 20), slice(100, 128), slice(None, None, 2)], ids=["first", "last", "every second"]
)
def test_a_tensor_of_which_a_part_was_moved_is_not_untouched(initializer: str, part: slice) -> None:
    model = built("mlp", initializer, 8)
    with torch.no_grad():
        model[3].weight[part] += 1e-4 * torch.randn_like(model[3].weight[part])
    assert not draws(model)["3.weight"].pristine


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
def test_folding_a_fresh_batch_norm_leaves_the_proof(epsilon: float) -> None:
    for initializer in ("default", "kaiming_normal"):
        model = built("cnn", initializer, 4)
        weight = model[4].weight.detach().numpy()
        folded = weight * np.float32(1 / np.sqrt(1 + epsilon))
        parameter = Parameter("w", folded.shape, "float32", ArraySource(folded))
        found = tensor_facts(Graph("test", "checkpoint", parameters={"w": parameter}, edges=False))["w"].draw
        assert found is not None
        assert found.pristine
        assert found.method == {"default": "pytorch_default"}.get(initializer, initializer)


def test_a_scaled_normal_draw_is_still_proven_untouched() -> None:
    torch.manual_seed(0)
    weight = (torch.empty(128, 300).normal_(0, 0.02) * 7.3).numpy()
    parameter = Parameter("w", weight.shape, "float32", ArraySource(weight))
    found = tensor_facts(Graph("test", "checkpoint", parameters={"w": parameter}, edges=False))["w"].draw
    assert found is not None
    assert (found.pristine, found.trained, found.distribution) == (True, False, "normal")


def test_lattices_are_not_seen_where_there_are_none() -> None:
    scores = []
    for seed in range(300):
        generator = np.random.default_rng(seed)
        uniform = generator.uniform(-0.1, 0.1, 4096).astype(np.float64)
        normal = generator.standard_normal(4096).astype(np.float32)
        scores += [uniform_lattice(uniform, 0.1), angle_lattice(*head_pairs(normal))]
    assert max(scores) < PROVEN
    assert np.std(scores) == pytest.approx(1.0, abs=0.15)


def test_zeros_and_signs_prove_nothing() -> None:
    zeros = np.zeros(4096, np.float32)
    assert angle_lattice(*head_pairs(zeros)) == 0.0
    signs = Parameter("w", (64, 64), "float32", ArraySource(np.sign(np.random.default_rng(0).normal(size=(64, 64)))))
    found = tensor_facts(Graph("test", "checkpoint", parameters={"w": signs}, edges=False))["w"].draw
    assert found is not None
    assert not found.pristine


def test_a_freshly_drawn_head_on_a_trained_body_is_random() -> None:
    model = built("mlp", "default", 5)
    train(model, 5)
    torch.manual_seed(6)
    model[5] = nn.Linear(128, 1000)
    found = draws(model)
    assert (found["5.weight"].trained, found["5.weight"].method) == (False, "pytorch_default")
    assert found["1.weight"].trained
    assert found["3.weight"].trained


def test_neighbours_decide_only_what_is_open() -> None:
    def draw(**given: object) -> DrawFacts:
        return DrawFacts.model_validate(
            {"method": "normal", "family": "fixed", "mode": "none", "trained": False, **given}
        )

    moved = draw(method="trained", family="trained", trained=True, trained_score=9.0)
    table = {
        "a.bias": moved, "a.norm.weight": moved, "a.norm.bias": moved,
        "a.weight": draw(), "a.proven": draw(pristine=True), "a.zero": draw(method="zeros", family="constant"),
        "b.bias": draw(method="zeros", family="constant"), "b.norm.weight": draw(method="ones", family="constant"),
        "b.norm.bias": draw(method="zeros", family="constant"), "b.weight": draw(),
    }  # fmt: skip
    shapes = {n: (64, 64) if n.endswith(("weight", "proven", "zero")) and "norm" not in n else (64,) for n in table}
    found = settle(table, shapes)
    assert found["a.weight"].trained
    assert found["a.weight"].departure == "neighbours"
    assert found["a.proven"].trained is False
    assert found["a.zero"].trained is False
    assert found["b.weight"].trained is False
