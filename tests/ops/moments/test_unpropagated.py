"""Every operator of the table has a handler or is on the one list of those that have none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initadvisor.ops import OPERATORS
from initadvisor.ops.moments import BACKWARD, FORWARD, NOT_PROPAGATED
from tests.analysis.signal.running import predict


def test_every_operator_is_carried_or_listed_and_none_is_both() -> None:
    assert set(FORWARD) | set(NOT_PROPAGATED) == set(OPERATORS)
    assert not set(FORWARD) & set(NOT_PROPAGATED)


def test_gradients_have_no_operators_of_their_own() -> None:
    assert set(BACKWARD) <= set(FORWARD)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: torch.linalg.qr(x)[0], "linalg_qr"),
        (lambda x: x.prod(dim=-1, keepdim=True), "prod"),
        (lambda x: torch.fft.fft(x).real, "fft"),
        (lambda x: x.median(dim=-1).values, "median"),
        (lambda x: x.lgamma(), "lgamma"),
    ],
)
def test_behind_an_operator_without_statistics_all_is_unknown_and_it_is_named(function: object, name: str) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(8, 8), nn.Linear(1, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(function(self.first(x)).sum(dim=-1, keepdim=True))  # type: ignore[operator]

    predicted = predict(Odd(), torch.randn(8, 8))
    assert predicted.run.unknown == {name: 1}
    assert predicted.run.forward[predicted.graph.outputs[0]] is None
    first = next(v.id for v in predicted.graph.values if v.parameter == "first.weight")
    assert predicted.run.backward[first] is None


def test_a_norm_behind_an_unknown_operator_is_a_new_start_and_says_so() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.last = nn.LayerNorm(64), nn.Linear(64, 64, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.norm(torch.linalg.qr(x)[0]))

    predicted = predict(Odd(), torch.randn(64, 64))
    assert predicted.of("norm") == pytest.approx(1.0, rel=1e-3)
    assert predicted.run.unknown["layer_norm of an unknown input"] == 1
