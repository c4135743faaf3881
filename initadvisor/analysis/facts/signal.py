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
    forward_ratio: float | None = measure(
        "Part of the signal that tells inputs apart: last layer over first layer", "1", source=_SOURCE
    )
    rms_ratio: float | None = measure("Root mean square of the signal: last layer over first layer", "1")
    backward_ratio: float | None = measure(
        "Gradient with respect to the output of a layer: first layer over last layer", "1", source=_SOURCE
    )
    weight_gradient_ratio: float | None = measure("Gradient of the weights: first layer over last layer", "1")
    largest_rms: float | None = measure("Largest root mean square of any value", "1")
    largest_at: str | None = measure("Layer where that is")
    smallest_gradient_rms: float | None = measure("Smallest non-zero root mean square of a weight gradient", "1")
    smallest_gradient_at: str | None = measure("Layer where that is")
    cosine: float | None = measure("Cosine between the last hidden representations of two independent inputs", "1")
    token_cosine: float | None = measure(
        "Cosine between the last hidden representations at two positions of one input",
        "1",
        source="rank collapse: Dong et al. 2021, arXiv 2103.03404",
    )
    depth_scale: float | None = measure(
        "Layers over which a small difference between two inputs changes by a factor e",
        "layers",
        source="1 / |ln chi|, Schoenholz et al. 2017, arXiv 1611.01232",
    )
    sensitivity: float | None = measure("Factor on a small difference between two inputs, per layer", "1")
    largest_logit_std: float | None = measure("Largest predicted standard deviation of attention logits", "1")
    largest_logit_at: str | None = measure("Layer where that is")
    last_layer: str | None = measure("Name of the last hidden layer")
