"""How a probe runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from initadvisor.errors import UsageError

Precision = Literal["float32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bf16", "fp16")

LEARNING_RATE = 0.01
"""Of the plain SGD that runs where the caller gives no optimizer: it keeps no state, and wakes what zeros gate."""

BATCH_SIZE = 8
"""Samples of a made-up batch: enough to tell samples apart, few enough for a large model on a CPU."""

WAKING = 3
"""Further steps at most while some gradients are still exactly zero: one step wakes one gate."""

LOOKAHEAD_STEPS = 50
"""Of the failing starts of benchmarks/trainability (calibration part, cross-validated) the risk with as many steps
finds 98% at 5% false alarms, with 25 steps 93%."""

LOOKAHEAD_RATES = (3e-2, 3e-3, 3e-1)
"""Of SGD with momentum 0.9: the look-ahead that was measured to predict trainability best. First the one at which most
healthy models learn a batch by heart."""

RANK_TIMEOUT = 300.0
"""Seconds: longer than the slowest forward pass that anyone probes, shorter than half an hour (torch's default)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """How many steps, on what, with what optimizer; what is measured on request.

    steps: optimizer steps; at least 2, since what is gated by zero wakes up after the first.
    optimizer: an instance over the model's parameters (its steps are undone), a callable that makes one from them, or
        None for plain SGD. batch_size: of a made-up batch. seed: of the made-up batch and of everything that the model
        draws. precision: float32, or autocast to bf16 or fp16. accumulate: micro-batches a step.
    replicated: every rank of the process group probes a copy of the same module with it. rank_timeout: seconds after
        which a rank that does not come along counts as lost.
    """

    steps: int = 3
    optimizer: Any = None
    device: str = "auto"
    seed: int = 0
    batch_size: int = BATCH_SIZE
    precision: Precision = "float32"
    accumulate: int = 1
    noise: bool = False
    jacobian: bool = False
    sharpness: bool = False
    lookahead: bool = False
    replicated: bool = False
    rank_timeout: float = RANK_TIMEOUT

    def __post_init__(self) -> None:
        """Raise UsageError for a number that makes no sense."""
        if self.steps < 2:
            raise UsageError(
                f"a probe of {self.steps} steps cannot tell a zero gate from a dead layer", hint="give 2 steps or more"
            )
        if self.batch_size < 1 or self.accumulate < 1:
            raise UsageError("batch size and micro-batches are at least 1")
        if self.precision not in PRECISIONS:
            raise UsageError(f"there is no precision {self.precision!r}", hint=f"it is one of {', '.join(PRECISIONS)}")
