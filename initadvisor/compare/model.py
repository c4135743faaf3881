"""The result of a comparison: what ran, what it learned, and what its layers carried; versioned, as JSON.

A number that is not finite is stored as null: a run that diverges is a result like any other.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Task = Literal["classification", "regression"]
Outcome = Literal["trained", "diverged", "interrupted"]
Status = Literal["trained", "diverged", "interrupted", "not_run"]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A float, or None for what is not finite or was not measured."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Histogram(_Record):
    """Shares of the values in equal bins from `low` to `high`; `zero`, `below` and `above` are counted apart.

    `zero` is the share of exact zeros where the function makes them (ReLU), else 0.
    """

    low: float
    high: float
    shares: tuple[float, ...]
    below: float = 0.0
    above: float = 0.0
    zero: float = 0.0


class LayerRecord(_Record):
    """What one weighted layer carried on the fixed batch.

    `mean`, `std` and `histogram` are of the activation: the layer's output, behind its norm and function if it has
    them. `dead`: share of units without slope on every sample. `saturated`: share of values
    in the flat ends of a function that has two, where tanh is beyond 0.97. `gradient_rms`: of a sample's loss with
    respect to the pre-activation; `weight_gradient_rms`: of the mean loss with respect to the weight.
    """

    name: str
    depth: int
    function: str
    mean: Number
    std: Number
    rms: Number
    dead: Number = None
    saturated: Number = None
    gradient_rms: Number = None
    weight_gradient_rms: Number = None
    weight_rms: Number = None
    histogram: Histogram | None = None


class Curve(_Record):
    """What was learned, at `steps`: training figures are means over the steps since the point before.

    `score` is the held-out accuracy of a classification, the coefficient of determination (R^2) of a regression.
    """

    steps: tuple[int, ...] = ()
    train_loss: tuple[Number, ...] = ()
    train_score: tuple[Number, ...] = ()
    loss: tuple[Number, ...] = ()
    score: tuple[Number, ...] = ()


class TrainingRun(_Record):
    """One run: an initialization at one learning rate from one seed.

    `steps_to_target`: the first held-out point at or above the target, None where it was not reached. `start` and
    `end` are by layer, in forward order; `end` is empty for a run that diverged.
    """

    learning_rate: float
    seed: int
    outcome: Outcome
    steps: int
    curve: Curve
    final_train_loss: Number
    final_score: Number
    steps_to_target: int | None = None
    seconds: float
    start: tuple[LayerRecord, ...] = ()
    end: tuple[LayerRecord, ...] = ()


class InitResult(_Record):
    """An initialization and its runs. The figures are those of `learning_rate`, the one of the best training loss.

    `score` is the mean over seeds of the last held-out score, `score_std` its standard deviation, None for one seed.
    `steps_to_target`: the median over the seeds, None where half of them or more did not reach it.
    """

    name: str
    description: str
    status: Status
    reason: str = ""
    learning_rate: float | None = None
    train_loss: Number = None
    score: Number = None
    score_std: Number = None
    reached: int = 0
    steps_to_target: float | None = None
    runs: tuple[TrainingRun, ...] = ()

    @property
    def shown(self) -> TrainingRun | None:
        """The run that pictures show: the first seed at the best learning rate."""
        return next((run for run in self.runs if run.learning_rate == self.learning_rate), None)

    @property
    def best(self) -> tuple[TrainingRun, ...]:
        """The runs at the best learning rate, one a seed."""
        return tuple(run for run in self.runs if run.learning_rate == self.learning_rate)


class DataRecord(_Record):
    """The data and how it was made to fit the model."""

    name: str
    task: Task
    samples: int
    held_out: int
    classes: int | None = None
    sample_shape: tuple[int, ...]
    input_shape: tuple[int, ...]
    mean: float
    std: float
    notes: tuple[str, ...] = ()


class Setup(_Record):
    """What was the same for all: every initialization sees the same batches in the same order."""

    optimizer: str
    learning_rates: tuple[float, ...]
    schedule: str
    steps: int
    batch_size: int
    seeds: tuple[int, ...]
    target: float
    """Held-out score whose first crossing is counted in steps."""
    device: str
    parameters: int
    layers: int


class Comparison(_Record):
    """A whole comparison; `inits` is sorted, the best first."""

    schema_version: Literal["1"] = "1"
    version: str
    target: str
    data: DataRecord
    setup: Setup
    inits: tuple[InitResult, ...]
    conclusion: str
    interrupted: bool = False
    notes: tuple[str, ...] = Field(default=())

    def __getitem__(self, name: str) -> InitResult:
        """The result of an initialization by the name that was given for it; raises KeyError for another."""
        for result in self.inits:
            if result.name == name:
                return result
        raise KeyError(name)

    def to_json(self) -> str:
        """The comparison as JSON text."""
        return self.model_dump_json(indent=2) + "\n"

    def to_text(self, columns: int = 100) -> str:
        """The comparison as a terminal shows it, without colour."""
        from initadvisor.compare.text import as_text

        return as_text(self, columns=columns)

    def to_html(self) -> str:
        """The comparison as one self-contained page."""
        from initadvisor.compare.page import as_html

        return as_html(self)
