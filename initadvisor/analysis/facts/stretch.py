"""Facts that take more than one layer: the stretch a layer stands in, its peers, the residual stream."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure


class StretchFacts(BaseModel):
    """The stretch of layers without a norm, attention or residual add that ends in this layer (`layer.stretch.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: str | None = measure("Name of its first layer")
    depth: int | None = measure("Number of its layers up to this one, this one included; output layers do not count")
    ends: bool | None = measure("Whether no further layer of the stretch follows")
    signal: float | None = measure(
        "Factor on small differences between two inputs over the stretch: product of sqrt(chi)",
        "1",
        source="chi = gain^2 E[f'(sqrt(q) z)^2], Schoenholz et al. 2016, arXiv 1611.01232",
    )
    gradient: float | None = measure(
        "Factor on the weight gradient of the layer that is best off: `signal` over the smallest single factor", "1"
    )
    born_dead: float | None = measure(
        "Probability that some rectifier layer of the stretch, the first left out, has no active unit for an input: "
        "1 - prod(1 - 2^-n) over their widths n; only where biases start at zero or below",
        "1",
        source="Lu et al. 2019, arXiv 1903.06733",
    )
    default_share: float | None = measure("Share of its layers that keep the framework's default draw", "1")


class PeerFacts(BaseModel):
    """A layer among the layers of its kind (`layer.peers.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int | None = measure("Number of other layers of the same kind and place; 0 for fewer than 4", "layers")
    ratio: float | None = measure("rms of the weight over the one that the recipe of its peers gives it", "1")
    recipe: str | None = measure("What the standard deviation of its peers goes with")
    spread: float | None = measure("Factor within which three quarters of the peers follow the recipe", "1")
    copy_of: str | None = measure("Name of the first layer whose separate weight has the same bits, or empty")


class ResidualFacts(BaseModel):
    """The residual stream of the whole model (`model.residual.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unnormalised_blocks: int | None = measure("Blocks of the longest run without a norm in branch or stream", "blocks")
    growth: float | None = measure("Factor on the rms of the stream over that run", "1")
    first_block: str | None = measure("Name of the first layer of that run")
