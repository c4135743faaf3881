"""What the fingerprint looks at: measurements of one tensor and what is known of its place."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from initadvisor.analysis.tensors.moments import Moments
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
