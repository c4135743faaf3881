"""Facts about one normalization layer (`norm.*`); its scale is `tensor.*`, its shift `bias.*`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure
from initadvisor.analysis.facts.probe import LayerProbeFacts


class NormFacts(BaseModel):
    """Facts about one normalization layer; None means unknown."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = measure("Module path")
    op: str | None = measure("batch_norm, layer_norm, rms_norm, group_norm, instance_norm, normalize ...")
    channels: int | None = measure("Channels that it scales", "channels")
    groups: int | None = measure("Groups of a group norm", "groups")
    eps: float | None = measure("Number added to the variance", "1")
    momentum: float | None = measure("Weight of the newest batch in the running statistics, as torch counts it", "1")
    affine: bool | None = measure("Whether it has a learned scale")
    has_bias: bool | None = measure("Whether it has a learned shift")
    weight_offset: float | None = measure(
        "Number added to the stored scale before use (1 for zero-centred scales)", "1"
    )
    activation: str | None = measure("Function that consumes the output, linear for none")
    residual_role: str | None = measure('branch_end, in_branch or trunk; "" in a model without residual adds')
    depth: int | None = measure("Weighted layers before it", "layers")
    decomposed: bool | None = measure("Whether the graph spells it out in elementary operators")
    running_mean_absmax: float | None = measure("Largest magnitude of the running mean", "activation")
    running_var_min: float | None = measure("Smallest running variance", "activation^2")
    running_var_max: float | None = measure("Largest running variance", "activation^2")
    running_var_mean: float | None = measure("Mean running variance", "activation^2")
    expected_var: float | None = measure(
        "Variance that is predicted to enter in training, for standard normal inputs", "activation^2"
    )
    incoming_fresh: bool | None = measure("Whether every weight right before it looks like a random draw")
    synchronised: bool | None = measure("Whether its statistics are taken over all processes")
    evaluating: bool | None = measure("Whether it keeps to its running statistics while the rest of the model trains")
    advised_groups: int | None = measure(
        "Groups of a group norm in its place: the most, up to 32, with 8 channels or more each",
        "groups",
        source="Wu and He 2018, arXiv 1803.08494",
    )
    running_fresh: bool | None = measure("Whether the running statistics are still 0 and 1, as built")
    probe: LayerProbeFacts | None = measure("What a probe measured at its output")
