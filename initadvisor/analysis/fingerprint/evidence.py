"""What the fingerprint looks at: measurements of one tensor and what is known of its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import cast

import numpy as np

from initadvisor.analysis.tensors.moments import Moments, read_moments
from initadvisor.analysis.tensors.rows import row_axes, row_view
from initadvisor.analysis.tensors.sampling import element_sample, line_sample
from initadvisor.frontends.sources import DivisibleSource
from initadvisor.graph import Block, Layout


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor sits in the model; absent means unknown.

    kind: "weight", "bias", "norm", "embedding", "recurrent", "table", "scale" or "" (a bare state dict).
    fan_in: of the layer that a bias belongs to. hidden: the hidden size of a recurrent layer.
    """

    kind: str = ""
    layout: Layout | None = None
    blocks: tuple[Block, ...] = ()
    fan_in: float | None = None
    hidden: int | None = None


SAMPLE = 1 << 15
"""Elements on which the costly statistics of a larger tensor are measured: kurtosis to 0.03, shares to 0.003."""

LINES, COLUMNS = 128, 1024
"""The submatrix on which the spectrum is measured."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The measurements of one tensor.

    sample: elements spread over the tensor. lines: a sample of lines of the leading axis. kurtosis: of the sample.
    """

    source: DivisibleSource
    moments: Moments
    sample: np.ndarray
    lines: np.ndarray
    kurtosis: float
    place: Place = Place()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as stored."""
        return self.source.shape

    @property
    def count(self) -> int:
        """Number of finite elements."""
        return self.moments.finite

    @property
    def mean(self) -> float:
        """Mean of the elements."""
        return self.moments.mean

    @property
    def std(self) -> float:
        """Standard deviation of the elements about their mean."""
        return self.moments.std

    @property
    def mean_z(self) -> float:
        """The mean in units of its standard error."""
        return self.mean * sqrt(self.count) / self.std if self.std > 0 else 0.0


def gather(source: DivisibleSource, moments: Moments, place: Place, sample: np.ndarray | None = None) -> Evidence:
    """Take the samples of a tensor that go with its moments; `sample`: its elements, where they are there already."""
    if sample is None:
        sample = element_sample(source, SAMPLE)
    known = sample if moments.finite == moments.view.size else sample[np.isfinite(sample)]
    return Evidence(source, moments, known, line_sample(source, LINES, COLUMNS), kurtosis(known, moments.mean), place)


def kurtosis(sample: np.ndarray, mean: float) -> float:
    """Fourth moment about `mean` over the square of the second; 0 for a sample without spread."""
    if sample.size < 2:
        return 0.0
    square = np.square(sample.astype(np.float64) - mean)
    second = float(square.mean())
    return float(np.square(square / second).mean()) if second > 0 else 0.0


def by_block(evidence: Evidence) -> list[Evidence]:
    """The blocks of a weight as tensors of their own; empty where they are no whole lines of the leading axis."""
    shape, place = evidence.shape, evidence.place
    width = prod(shape[1:])
    found = []
    for block in place.blocks:
        if block.axis != 0 or not 0 <= block.start < block.stop <= shape[0] or len(shape) < 2:
            return []
        part = cast(DivisibleSource, evidence.source.part(block.start * width, block.stop * width))
        part.shape = (block.stop - block.start, *shape[1:])
        view = row_view(part.shape, row_axes(place.layout, part.shape))
        tall = width < part.shape[0]
        moments = read_moments(part, view, tall and view.outer == 1 and view.line == width)
        found.append(gather(part, moments, replace(place, blocks=())))
    return found
