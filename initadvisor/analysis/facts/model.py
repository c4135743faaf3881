"""Facts about the whole model (`model.*`)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.backbone import BackboneFacts
from initadvisor.analysis.facts.measure import measure
from initadvisor.analysis.facts.probe import ModelProbeFacts
from initadvisor.analysis.facts.signal import ModelSignalFacts
from initadvisor.analysis.facts.stretch import ResidualFacts


class TrainingFacts(BaseModel):
    """What was said of the training to come (`model.training.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int | None = measure("Samples of a step on one device", "samples")
    devices: int | None = measure("Devices that train copies of the model side by side", "devices")


class OtherFacts(BaseModel):
    """What is predicted once something is changed, where the risk of the start is high (`model.other.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    planned_risk: float | None = measure("Risk that training fails once the weights are drawn as advised", "1")
    activation: str | None = measure("Activation whose risk is least, of those exchanged for the present one")
    activation_risk: float | None = measure("Risk with it and the weights advised for it", "1")
    activation_depth_scales: float | None = measure("Depth of the model in depth scales, likewise", "1")
    norm: str | None = measure("Norms before the activations whose risk is least, in words")
    norm_risk: float | None = measure("Risk with them and the weights advised for that", "1")
    norm_depth_scales: float | None = measure("Depth of the model in depth scales, likewise", "1")


class ModelFacts(BaseModel):
    """Facts about the whole model; None means unknown."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = measure("The target")
    source: str | None = measure("torch, onnx or checkpoint")
    edges: bool | None = measure("Whether the graph is known, not only the parameters")
    parameters: int | None = measure("Elements of all float parameters, buffers left out", "elements")
    unused_parameters: int | None = measure("Float parameters that the forward pass does not use", "tensors")
    layers: int | None = measure("Layers with a weight matrix", "layers")
    depth: int | None = measure("Weighted layers on the longest path", "layers")
    coverage: float | None = measure("Share of the parameter elements that belong to an understood layer", "1")

    fresh: float | None = measure("Share of the drawn weights that look like a random draw", "1")
    trained_share: float | None = measure("Share of the elements of matrix weights that look trained", "1")

    expect: str | None = measure('What the user says that the model is: pretrained, or "" for nothing')
    classes: int | None = measure("Classes of the user's task, 0 where nobody said", "classes")
    averaged: int | None = measure("Models that the weights are an average of (n_averaged), 0 for none", "models")
    batch_norms: int | None = measure("Batch norms with running statistics", "layers")
    backbone: BackboneFacts | None = measure("The part that pretrained weights are for")

    has_norm: bool | None = measure("Whether any normalization layer is there")
    has_residual: bool | None = measure("Whether any residual add is there")
    norms: int | None = measure("Normalization layers", "layers")
    attention_branches: int | None = measure("Attention operators", "operators")
    residual_branches: int | None = measure("Residual adds", "adds")
    branch_end_norms: int | None = measure("Residual branches that end in a norm with a learned scale", "branches")
    zero_branch_end_norms: int | None = measure("Of these, the ones whose scale is all zero", "branches")
    first_branch_end_norm: str | None = measure("Name of the first of these norms")
    branch_scales: int | None = measure("Residual branches with a learned scale (LayerScale, ReZero)", "branches")
    branch_end_ratio: float | None = measure(
        "Median std of the weights that end a branch over the median std of the others inside branches", "1"
    )
    biases_before_norm: int | None = measure(
        "Layers whose bias is subtracted again by the batch or instance norm right behind", "layers"
    )
    first_bias_before_norm: str | None = measure("Name of the first of these layers")
    weights_before_norms: int | None = measure("Weights whose scale the norm right behind them divides out", "weights")
    gain_before_norms: float | None = measure("Median gain (rms * sqrt(fan_in)) of these weights", "1")
    output_activation: str | None = measure('Squashing function that makes the first output, "" for none')
    default_share: float | None = measure("Share of the layers that keep PyTorch's default draw", "1")
    zero_layers: int | None = measure("Layers with a weight matrix that is all zero", "layers")
    equal_rows: float | None = measure("Smallest `tensor.duplicate_rows` of a layer with more than one row", "1")
    recurrent_gain: float | None = measure(
        "Largest rms(weight) * sqrt(fan_in) of the weights from one step's state to the next one's: about their "
        "spectral radius",
        "1",
        source="circular law; Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063",
    )
    smallest_effective_rank: float | None = measure("Smallest `tensor.effective_rank` of a layer's weight", "1")
    dropouts: int | None = measure("Dropout operators with a rate above 0", "operators")
    alpha_dropouts: int | None = measure("Alpha dropout operators with a rate above 0", "operators")
    training: TrainingFacts | None = measure("The training to come, as far as it was said")
    other: OtherFacts | None = measure("The same model with one thing changed")
    residual: ResidualFacts | None = measure("The residual stream")
    signal: ModelSignalFacts | None = measure("The signal predicted for the whole model")
    probe: ModelProbeFacts | None = measure("What a probe measured")
