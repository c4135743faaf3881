"""What only a page with pictures needs, and is measured only where one is asked for."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

BINS = 40
"""Bins of every histogram of weights."""


Family = Literal["normal", "uniform", "truncated_normal", "constant"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WeightDensity(_Record):
    """The distribution that an initializer draws each element from; one that draws whole matrices: its moments.

    bound: of a uniform or truncated distribution, from its mean. sigma: of a truncated normal, before the cut.
    """

    method: str
    family: Family
    mean: float = 0.0
    std: float
    bound: float | None = None
    sigma: float | None = None


class WeightHistogram(_Record):
    """How the elements of a weight are spread, in an even sample of them: counts in equal bins from low to high.

    std: of the sample. outside: sampled elements beyond the bins, which leave out far outliers. not_finite: how many
    of the sample.
    recommended: what the place of the layer calls for.
    """

    layer: str
    parameter: str
    std: float | None = None
    low: float
    high: float
    counts: tuple[int, ...]
    sampled: int
    outside: int = 0
    not_finite: int = 0
    recommended: WeightDensity | None = None


class FlowStep(_Record):
    """One operator of the forward pass. where: module path. inputs: places, in the list, of the steps that feed it."""

    operator: str
    where: str = ""
    layer: str | None = None
    shape: tuple[int | None, ...] | None = None
    inputs: tuple[int, ...] = ()


class Details(_Record):
    """Histograms of the first weights of the model and of those with findings; the first operators in order.

    weights, operators: how many there are in all.
    """

    histograms: tuple[WeightHistogram, ...] = ()
    weights: int = 0
    flow: tuple[FlowStep, ...] = ()
    operators: int = 0
