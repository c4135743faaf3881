"""What a probe brings home: plain numbers on the host, still without a judgement."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from initadvisor.probe.batch import Batch
from initadvisor.probe.nonfinite import Origin
from initadvisor.probe.observer import Seen
from initadvisor.probe.site import Site


@dataclass(slots=True)
class ParameterSteps:
    """Per step and parameter: float64 arrays of shape (steps, parameters); NaN stands for what was not measured."""

    names: list[str]
    sizes: np.ndarray
    in_optimizer: list[bool]
    present: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    weights: np.ndarray
    update: np.ndarray
    unchanged: np.ndarray
    spread: dict[str, float] = field(default_factory=dict)
    unit_ratio: dict[str, float] = field(default_factory=dict)
    unit_ratios: list[float] = field(default_factory=list)
    twins: dict[str, float] = field(default_factory=dict)

    @property
    def zero(self) -> np.ndarray:
        """(steps, parameters): whether a gradient was exactly zero or not there."""
        return np.asarray(~(self.l1 > 0) & ~np.isnan(self.l1))


@dataclass(slots=True)
class Observation:
    """One run. `seen` has one list a step; `failed` says what stopped the run, "" for nothing."""

    sites: list[Site]
    batch: Batch
    device: str
    precision: str
    loss: str = ""
    classes: int | None = None
    drawn: bool = True
    optimizer: str = ""
    own_optimizer: bool = False
    learning_rate: float | None = None
    losses: list[float] = field(default_factory=list)
    seen: list[list[Seen]] = field(default_factory=list)
    parameters: ParameterSteps | None = None
    ran: frozenset[str] = frozenset()
    norm_batches: dict[int, tuple[int, int]] = field(default_factory=dict)
    logit_std: list[float | None] = field(default_factory=list)
    logit_spread: list[float | None] = field(default_factory=list)
    input_rms: float | None = None
    output_rms: float | None = None
    entropies: list[tuple[str, float]] = field(default_factory=list)
    bad_step: int | None = None
    origin: Origin | None = None
    failed: str = ""
    failed_at: str = ""
    notes: list[str] = field(default_factory=list)
    requested: dict[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Steps that were run."""
        return len(self.losses)
