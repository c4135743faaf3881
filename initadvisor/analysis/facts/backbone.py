"""Facts about the part of a model that pretrained weights are for (`model.backbone.*`)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure


class BackboneFacts(BaseModel):
    """The weight matrices, kernels and tables of 1,000 elements and more, without heads and adapters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: int | None = measure("How many there are of which the fingerprint says something", "tensors")
    fresh: float | None = measure("Share of them that are at a random draw", "1")
    trained_share: float | None = measure("Share of their elements that look trained", "1")
    gaps: int | None = measure(
        "How many are at a random draw in front of trained ones, both in depth and in the order of the model", "tensors"
    )
    gap_share: float | None = measure("The same as a share", "1")
    first_gap: str | None = measure('Name of the first of these layers, "" for none')
