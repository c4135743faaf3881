"""Facts about the signal that is predicted, without data, to run forward and the gradient that runs back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure

_SOURCE = "mean-field propagation: Poole et al. 2016, arXiv 1606.05340; Schoenholz et al. 2017, arXiv 1611.01232"


class LayerSignalFacts(BaseModel):
    """What is predicted at one layer for standard normal inputs and unit output gradients (`layer.signal.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_rms: float | None = measure("Root mean square of what enters the layer", "1", source=_SOURCE)
    output_rms: float | None = measure("Root mean square of its output, before the activation", "1")
    difference_rms: float | None = measure(
        "Root mean square of the part of its output that tells two independent inputs apart", "1"
    )
    cosine: float | None = measure("Cosine between its outputs for two independent inputs", "1")
    token_cosine: float | None = measure("Cosine between its outputs at two positions of one input", "1")
    gradient_rms: float | None = measure("Root mean square of the gradient with respect to its output", "1")
    weight_gradient_rms: float | None = measure("Root mean square of the gradient of its weight", "1")
    relative_gradient: float | None = measure(
        "Weight gradient over the median of all layers, as shares of the weights' own rms", "1"
    )
    attention_logit_std: float | None = measure("Standard deviation of the attention logits over the keys of a row")


class ModelSignalFacts(BaseModel):
    """What is predicted for the model as a whole (`model.signal.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int | None = measure("Layers with a predicted forward signal", "layers")
    known: float | None = measure("Share of the layers with a weight matrix whose signal is predicted", "1")
    first_layer: str | None = measure(
        "Name of the first layer of the trunk, or of the end of the first residual branch"
    )
    last_layer: str | None = measure("Name of the head that the figures below are about; the last layer without one")
    forward_ratio: float | None = measure(
        "Part of the signal that tells two independent inputs apart: what the head reads over the first layer's output",
        "1",
        source=_SOURCE,
    )
    scaled_forward_ratio: float | None = measure(
        "The same for that part as a share of the signal, which no norm or scale of a weight changes", "1"
    )
    end_rms: float | None = measure("Root mean square of what the head reads", "1")
    rms_ratio: float | None = measure(
        "Root mean square of the signal: what the head reads over the first layer's output", "1"
    )
    cosine: float | None = measure("Cosine of two independent inputs where the head reads them", "1")
    backward_ratio: float | None = measure(
        "Norm of the gradient: with respect to the first layer's output over what the head reads", "1", source=_SOURCE
    )
    scaled_backward_ratio: float | None = measure(
        "The same for gradients times the root mean square of the value, which no norm or scale of a weight changes",
        "1",
    )
    sensitivity: float | None = measure(
        "Factor on a small difference between two inputs, per layer: sqrt(chi), from the gradient on its way back",
        "1",
        source=_SOURCE,
    )
    depth_scale: float | None = measure(
        "Layers over which the squared gradient changes by a factor e: 1 / |ln chi|", "layers", source=_SOURCE
    )
    depth_scales: float | None = measure("Depth of the model in depth scales", "1")
    largest_rms: float | None = measure("Largest root mean square of a layer's output or of a residual sum", "1")
    largest_at: str | None = measure("Layer where that is")
    smallest_gradient_rms: float | None = measure(
        "Smallest non-zero root mean square of a weight gradient, for output gradients of 1", "1"
    )
    smallest_gradient_at: str | None = measure("Layer where that is")
    largest_gradient_rms: float | None = measure(
        "Largest root mean square of the gradient with respect to a layer's output, for output gradients of 1", "1"
    )
    largest_weight_gradient_rms: float | None = measure(
        "Largest root mean square of a weight gradient, for output gradients of 1", "1"
    )
    stream_additions: int | None = measure("Residual additions with a predicted signal", "additions")
    stream_growth: float | None = measure(
        "Root mean square of the residual stream: largest behind an addition over that behind the first", "1"
    )
    stream_factor: float | None = measure(
        "Median factor on the stream's second moment from one residual addition to the next, in the second half",
        "1",
        source="De and Smith 2020, arXiv 2002.10444",
    )
    token_cosine: float | None = measure(
        "Cosine of two tokens of one input where the deepest layer that reads the token stream gets them",
        "1",
        source="rank collapse: Dong et al. 2021, arXiv 2103.03404",
    )
    token_layer: str | None = measure("Name of that layer")
    largest_logit_std: float | None = measure("Largest standard deviation of attention logits over the keys of a row")
    largest_logit_at: str | None = measure("Module where that is")
    risk: float | None = measure(
        "Probability that training fails, from several of these figures at once; calibrated in rules/risk.toml", "1"
    )
