"""How the runs of a comparison train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from initadvisor.errors import UsageError

Optimizer = Literal["sgd", "adam"]
OPTIMIZERS: tuple[Optimizer, ...] = ("sgd", "adam")

Schedule = Literal["constant", "cosine"]
SCHEDULES: tuple[Schedule, ...] = ("constant", "cosine")

MOMENTUM = 0.9
"""Of SGD."""

RATES: dict[Optimizer, tuple[float, ...]] = {"sgd": (1e-3, 1e-2), "adam": (1e-3,)}
"""Learning rates where none is given: deep plain networks need the smaller one, shallow ones gain from the larger."""

POINTS = 40
"""Points of a curve, the start not counted, where there are as many steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all initializations have in common.

    learning_rates: each is run; the one of the lowest training loss is shown. seeds: each is a draw of the weights and
    an order of the batches. target: held-out score whose first crossing is counted in steps. input_shape: of a sample
    as the model is to get it, without the batch; None finds one.
    """

    steps: int = 300
    learning_rates: tuple[float, ...] = ()
    optimizer: Optimizer = "sgd"
    schedule: Schedule = "constant"
    batch_size: int = 64
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    target: float = 0.9
    input_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a number that makes no sense."""
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(f"there is no optimizer {self.optimizer!r} here", hint=f"it is {' or '.join(OPTIMIZERS)}")
        if self.schedule not in SCHEDULES:
            raise UsageError(f"there is no schedule {self.schedule!r} here", hint=f"it is {' or '.join(SCHEDULES)}")
        if self.steps < 1 or self.batch_size < 1:
            raise UsageError("steps and batch size are at least 1")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise UsageError("seeds are different numbers, 0 or more", hint="such as --seeds 3 for 0, 1 and 2")
        if not all(isfinite(rate) and rate > 0 for rate in self.learning_rates):
            raise UsageError("a learning rate is a positive number")
        if not self.learning_rates:
            object.__setattr__(self, "learning_rates", RATES[self.optimizer])
        object.__setattr__(self, "learning_rates", tuple(sorted(set(self.learning_rates))))

    @property
    def interval(self) -> int:
        """Steps between two points of a curve."""
        return max(1, self.steps // POINTS)


def seeds_of(given: int | Sequence[int]) -> tuple[int, ...]:
    """A number of seeds, from 0 on, or the seeds themselves."""
    return tuple(range(given)) if isinstance(given, int) else tuple(given)
