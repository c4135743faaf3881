"""How a job ended, as the store takes it: with a report, or with a stated failure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, le=1 << 31)]
Figure = Annotated[float, Field(allow_inf_nan=False)]


class Failure(BaseModel):
    """Why there is no report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(max_length=40)
    message: str = Field(max_length=2000)


class Outcome(BaseModel):
    """What a worker writes when it is through. The bounds hold whatever a model made the worker write.

    figures: numbers that are followed over the commits of a model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure: Failure | None = None
    notes: list[Annotated[str, Field(max_length=500)]] = Field(default_factory=list, max_length=20)
    verdict: Literal["clean", "findings", "not_checked"] | None = None
    errors: Count = 0
    warnings: Count = 0
    infos: Count = 0
    not_evaluated: Count = 0
    coverage: float = Field(default=0.0, ge=0.0, le=1.0)
    figures: dict[Annotated[str, Field(max_length=40)], Figure] = Field(default_factory=dict, max_length=20)
    rules: list[Annotated[str, Field(max_length=40)]] = Field(default_factory=list, max_length=1000)
