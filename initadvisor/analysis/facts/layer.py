"""Facts about one layer: a weight in its place (`layer.*`)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure
from initadvisor.analysis.facts.probe import LayerProbeFacts
from initadvisor.analysis.facts.signal import LayerSignalFacts
from initadvisor.analysis.facts.stretch import PeerFacts, StretchFacts


class LayerFacts(BaseModel):
    """Facts about one layer with a weight; None means unknown, "" and 0 mean none."""

    model_config = ConfigDict(extra="forbid")

    # What it is
    name: str | None = measure("Module path of the weight, or the parameter's own name")
    op: str | None = measure("Canonical operator: linear, conv, matmul, embedding, lstm ...")
    kind: str | None = measure("linear (any weight matrix), embedding, recurrent, scale, table")
    role: str | None = measure(
        "stem, hidden, head, q, k, v, qkv, kv, attention_out, mlp_in, mlp_out, gate, gate_up, router, expert, "
        "squeeze_excite, recurrent_input, recurrent_hidden, recurrent_projection, lora_a, lora_b, token, position, "
        "relative_position, layer_scale, skip_gain, logit_scale, activation_slope, weight_gain, bias"
    )
    weight: str | None = measure("Name of the weight parameter")
    bias: str | None = measure('Name of the bias parameter, "" without one')
    has_bias: bool | None = measure("Whether a bias is added to the output")
    reparametrised: str | None = measure(
        'What makes the weight from the parameter (weight_norm, matmul ...), "" where it is the parameter'
    )
    depth: int | None = measure("Weighted layers on the longest path from an input, this one included", "layers")

    # Shape
    fan_in: float | None = measure("Inputs summed into one output element; of one block where there are blocks", "1")
    fan_out: float | None = measure(
        "Outputs that one input element feeds, stride counted; of one block where there are blocks", "1"
    )
    conventional_fan_in: float | None = measure("fan_in as torch.nn.init computes it from the stored shape", "1")
    conventional_fan_out: float | None = measure("fan_out as torch.nn.init computes it from the stored shape", "1")
    in_features: int | None = measure("Input channels, groups counted in", "channels")
    out_features: int | None = measure("Output channels, groups counted in", "channels")
    entries: int | None = measure("Rows of an embedding", "rows")
    groups: int | None = measure("Groups of a convolution", "groups")
    receptive_field: int | None = measure("Kernel elements", "elements")
    stride: int | None = measure("Product of the strides", "1")
    depthwise: bool | None = measure("Whether each output channel reads one input channel")
    transposed: bool | None = measure("Whether it is a transposed convolution")

    # Parts
    blocks: tuple[str, ...] | None = measure("Names of the matrices stacked in the weight: q, k, v, gates, experts")
    block_gains: tuple[float, ...] | None = measure("Gain of each block: rms(block) * sqrt(fan_in)", "1")
    identical_blocks: int | None = measure("Blocks that repeat an earlier block bit by bit", "blocks")
    blocks_orthogonal: float | None = measure(
        "Share of the square blocks whose rows are orthogonal and of equal length, to the precision of the draw", "1"
    )
    forget_bias: float | None = measure(
        "Mean of an LSTM's forget-gate bias, both bias vectors added", "1", source="Jozefowicz et al. 2015"
    )
    forget_bias_parts: int | None = measure("Bias vectors whose forget-gate entries are all positive", "vectors")

    # Scale
    gain: float | None = measure("rms(weight) * sqrt(fan_in): the factor on the rms of the signal", "1")
    backward_gain: float | None = measure("rms(weight) * sqrt(fan_out): the factor on the rms of the gradient", "1")
    recommended_gain: float | None = measure(
        "Gain that keeps a unit second moment through this layer and its activation, or the gradient's where that "
        "would lose most of it (sigmoid); behind a gated product it makes up for the gate",
        "1",
        source="E[f(z)^2]^-1/2, He et al. 2015, arXiv 1502.01852",
    )
    recommended_backward_gain: float | None = measure("Gain that keeps the gradient's: E[f'(z)^2]^-1/2", "1")

    # Surroundings
    activation: str | None = measure("Function that consumes the output: relu, gelu ..., linear for none, unknown")
    activation_gated: bool | None = measure("Whether the activated output multiplies another signal as its gate")
    in_product: bool | None = measure("Whether the output multiplies another signal or is multiplied by one")
    negative_slope: float | None = measure("Slope of a leaky ReLU or PReLU below zero", "1")
    input_activation: str | None = measure('Function between the layer before and this one, "" for none')
    norm_before: str | None = measure('Norm right before the input, "" for none')
    norm_after: str | None = measure('Norm right behind the output, "" for none')
    norm_after_op: str | None = measure('Operator of the norm behind: batch_norm, layer_norm ..., "" for none')
    input_norm: str | None = measure('Norm before the input, an activation in between allowed, "" for none')
    scale_invariant: bool | None = measure("Whether a norm right behind divides the scale of the weight out")
    scale_erased: bool | None = measure(
        "Whether a norm divides it out, also behind ReLU and its like (exact where the bias is zero)"
    )
    residual_role: str | None = measure('branch_end, in_branch or trunk; "" in a model without residual adds')
    feeds_linear: str | None = measure(
        'The one layer that reads the output with nothing but linear operators between, "" for none'
    )
    feeds_narrowest: float | None = measure(
        "Smaller of the input width of this layer and the output width of the layer it feeds so", "channels"
    )
    previous: str | None = measure("Names of the layers before it, comma-separated")
    previous_zero: bool | None = measure(
        "Whether every layer before it is zero, bias included, so that its input is and stays zero"
    )
    previous_identical: bool | None = measure(
        "Whether the units of every layer before it are copies: equal rows, not all zero, and equal biases"
    )
    constant_run: int | None = measure("Layers in a row up to this one whose weights are one non-zero number", "layers")
    gap: bool | None = measure("Whether the weight is at a random draw in front of trained layers")
    adapts: str | None = measure('Layer that a low-rank pair is added to, "" for none')

    # Ties
    tied: bool | None = measure("Whether the weight has a second use under another name")
    tied_to: tuple[str, ...] | None = measure("The other names of the weight")
    tied_fan_in: float | None = measure("fan_in of a tied embedding where it is read back as a projection", "1")
    tied_logit_std: float | None = measure("rms(weight) * sqrt(tied_fan_in): logits per unit of hidden signal", "1")

    stretch: StretchFacts | None = measure("The un-normalised stretch that ends in this layer")
    peers: PeerFacts | None = measure("How its scale stands among layers of its kind")
    signal: LayerSignalFacts | None = measure("The signal predicted at this layer")
    probe: LayerProbeFacts | None = measure("What a probe measured at its output")
