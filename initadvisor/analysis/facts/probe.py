"""Facts that a probe measures: a few forward and backward steps on a batch, every value taken while they run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure

_DEBUGGER = "Amazon SageMaker Debugger, built-in rules"
_RANK = "Dong et al. 2021, arXiv 2103.03404"


class LayerProbeFacts(BaseModel):
    """What a layer or norm gave, and the gradient that came back to it (`layer.probe.*`, `norm.probe.*`).

    Values are those of the first step, as the model starts, unless a description says otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int | None = measure("Times the module ran in one forward pass", "calls")
    observations: int | None = measure("Samples times sampled positions that each unit was seen on", "1")
    mean: float | None = measure("Mean of the output, before the activation", "activation")
    std: float | None = measure("Standard deviation of the output over samples, positions and units", "activation")
    rms: float | None = measure("Root mean square of the output", "activation")
    absmax: float | None = measure("Largest magnitude of the output, in a sample of it", "activation")
    unit_variance: float | None = measure("Variance over the samples of the batch, mean over units", "activation^2")
    difference: float | None = measure(
        "Share of the second moment that tells samples apart: `unit_variance` over the mean square", "1"
    )
    zero_share: float | None = measure("Share of the outputs that are exactly zero", "1")
    zero_share_last: float | None = measure("The same at the last step", "1")
    dead_units: float | None = measure(
        "Share of the units that the ReLU behind lets through on less than 1% of the observations",
        "1",
        source=_DEBUGGER,
    )
    dead_units_last: float | None = measure("The same at the last step", "1")
    saturated_units: float | None = measure(
        "Share of the units that are beyond +-9.4999 before a tanh, or outside (-23, 17) before a sigmoid, on more "
        "than 99% of the observations",
        "1",
        source=_DEBUGGER,
    )
    saturated_share: float | None = measure(
        "Share of the outputs in the flat part of the squashing function behind: |tanh| > 0.97, or a sigmoid as near "
        "to 0 or 1, or outside the linear part of a hard one",
        "1",
    )
    flat_units: float | None = measure(
        "Share of the units that are in that flat part on more than 85% of the observations",
        "1",
        source="TheDeepChecker, Ben Braiek and Khomh 2022, arXiv 2204.00694",
    )
    cosine: float | None = measure("Mean cosine between the outputs for two samples of the batch", "1")
    effective_rank: float | None = measure(
        "Exponential of the entropy of the spectrum of the outputs of the batch, their mean taken off",
        "1",
        source="Roy and Vetterli, EUSIPCO 2007",
    )
    token_rank: float | None = measure(
        "Part of the outputs at the positions of one sample that is not common to all of them, as a share of the norm",
        "1",
        source=_RANK,
    )
    growth: float | None = measure(
        "Root mean square at the last call over the first one, where it runs repeatedly", "1"
    )
    gradient_rms: float | None = measure("Root mean square of the gradient that reaches the output", "loss/activation")
    gradient_norm: float | None = measure("Norm of the gradient that reaches the output", "loss/activation")
    gradient_rms_last: float | None = measure("Root mean square of that gradient at the last step")
    values_per_channel: float | None = measure(
        "Samples times positions from which a batch or instance norm takes each mean and variance", "1"
    )
    batch_size: float | None = measure("Samples of the batch that the norm saw", "samples")


class ParameterProbeFacts(BaseModel):
    """The gradient of one parameter, and what the optimizer made of it (`tensor.probe.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int | None = measure("Steps that were run", "steps")
    has_gradient: bool | None = measure("Whether the backward pass reached it at all in some step")
    ran: bool | None = measure("Whether the module that owns it ran in the forward pass")
    in_optimizer: bool | None = measure("Whether the optimizer holds it")
    gradient_rms: float | None = measure("Root mean square of the gradient at the first step", "loss/weight")
    gradient_rms_last: float | None = measure("The same at the last step", "loss/weight")
    gradient_mean_abs: float | None = measure("Mean magnitude of the gradient at the first step", "loss/weight")
    gradient_mean_abs_max: float | None = measure("Largest mean magnitude of the gradient over the steps")
    gradient_spread: float | None = measure(
        "95th minus 5th percentile of the gradient at the first step, in a sample", source=_DEBUGGER
    )
    asleep: bool | None = measure("Whether the gradient was exactly zero in every step, the last one included")
    gradient_to_weight: float | None = measure("Norm of the gradient over that of the weight, at the first step")
    update_to_weight: float | None = measure("Norm of the last step's update over that of the weight, in a sample", "1")
    largest_update: float | None = measure("Largest `update_to_weight` over the steps", "1")
    unchanged: bool | None = measure(
        "Whether no step changed it by more than rtol 1e-5 and atol 1e-8, in a sample", source=_DEBUGGER
    )
    unit_gradient_to_weight: float | None = measure(
        "Largest norm of a unit's gradient over that of its weights (at least 1e-3), at the first step",
        "1",
        source="adaptive gradient clipping: Brock et al. 2021, arXiv 2102.06171",
    )
    twin_units: float | None = measure(
        "Share of the output units whose weights and gradients both repeat an earlier unit's: they stay equal for ever",
        "1",
    )
    relative_gradient: float | None = measure(
        "Gradient over weight (rms each) as a share of the median of all weights, at the last step", "1"
    )


class ModelProbeFacts(BaseModel):
    """What a probe saw of the model as a whole (`model.probe.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int | None = measure("Steps that were run", "steps")
    batch_size: int | None = measure("Samples of the batch", "samples")
    synthetic: bool | None = measure("Whether the batch was made up")
    on: str | None = measure('" on a synthetic batch", or "" where the caller gave the batch')
    drawn_targets: bool | None = measure("Whether the targets were drawn, so that no input says anything about them")
    selective: bool | None = measure(
        "Whether what was drawn decides which layers get a gradient: boxes that match, or outputs of evaluation mode"
    )
    own_optimizer: bool | None = measure("Whether the caller gave the optimizer")
    learning_rate: float | None = measure("Learning rate of the first parameter group", "1")
    failed: str | None = measure('What stopped the run short, "" for nothing')

    loss: float | None = measure("Loss at the first step", "loss")
    loss_last: float | None = measure("Loss at the last step", "loss")
    loss_best: float | None = measure("Smallest loss after the first step", "loss")
    classes: int | None = measure("Classes of a cross-entropy", "classes")
    chance_loss: float | None = measure("Loss of a uniform guess over the classes: ln C", "nat")
    logit_std: float | None = measure("Standard deviation over the samples of an output, mean over outputs", "logit")
    logit_std_last: float | None = measure(
        "The same at the last step, when a head that started at zero has moved", "logit"
    )
    logit_spread: float | None = measure(
        "The part of the outputs that differs between samples, as a share of their root mean square, at the last step",
        "1",
    )
    input_rms: float | None = measure("Root mean square of the model's largest float input", "input")
    output_gain: float | None = measure(
        "Root mean square of the first output over that of the last layer's: what is multiplied or squashed behind it",
        "1",
    )

    nonfinite: bool | None = measure("Whether a loss, an activation or a gradient was NaN or infinite")
    nonfinite_step: int | None = measure("Updates made before the first such value", "steps")
    nonfinite_phase: str | None = measure('Where it arose: batch, parameter, forward, loss, backward; "" for nowhere')
    nonfinite_op: str | None = measure("The operator that made it of finite numbers")
    nonfinite_at: str | None = measure('The module in which that operator ran, "" for the model or the loss itself')

    gradient_norm: float | None = measure("Norm of all gradients together at the first step", "loss/weight")
    gradient_norm_max: float | None = measure("Largest of these norms over the steps", "loss/weight")
    asleep_share: float | None = measure("Share of the trainable elements whose gradient was zero in every step", "1")
    zero_at_first: float | None = measure(
        "Share of the trainable elements whose gradient is zero at the first step", "1"
    )
    missing_gradients: int | None = measure("Trainable parameters that the backward pass did not reach", "tensors")
    first_missing: str | None = measure("Name of the first of these")
    frozen_share: float | None = measure("Share of the float parameter elements that are not to be trained", "1")
    smallest_gradient: float | None = measure("Smallest root mean square of a weight's gradient at the last step")
    smallest_gradient_at: str | None = measure("Name of that weight")
    gradient_ratio: float | None = measure(
        "Norm of the gradient at the output of the first weighted layer over that at the last hidden one, last step",
        "1",
    )
    first_layer: str | None = measure("Name of the first weighted layer that was seen")
    last_layer: str | None = measure("Name of the last hidden layer that was seen")
    variance_ratio: float | None = measure("Largest over smallest variance of a layer's output", "1", source=_DEBUGGER)
    gradient_spread: float | None = measure("Smallest `gradient_spread` of a weight", source=_DEBUGGER)
    forward_ratio: float | None = measure(
        "Part of the output that tells samples apart (its root mean square): last hidden layer over first layer", "1"
    )
    largest_rms: float | None = measure("Largest root mean square of a layer's output", "activation")
    largest_at: str | None = measure("Name of that layer")
    cosine: float | None = measure("Mean cosine between two samples at the last hidden layer", "1")
    effective_rank: float | None = measure("Effective rank of the batch at the last hidden layer, last step", "1")
    token_rank: float | None = measure("Smallest `token_rank` of a layer behind the first block", "1", source=_RANK)
    token_rank_at: str | None = measure("Name of that layer")
    median_update: float | None = measure("Median over the weights of `update_to_weight`", "1")
    first_update: float | None = measure(
        "The same at the first step, which is in proportion to the learning rate, however far it goes", "1"
    )
    smallest_update: float | None = measure("Smallest `update_to_weight` of a weight", "1")
    attention_entropy: float | None = measure(
        "Smallest entropy of attention weights over ln of the number of keys, mean over rows and heads of a layer",
        "1",
        source="Zhai et al. 2023, arXiv 2303.06296",
    )
    attention_at: str | None = measure("Name of the module where that is")

    clip_norm: float | None = measure("Clip value for the global gradient norm: twice the median norm of the steps")
    agc_clip: float | None = measure(
        "Clip value for adaptive gradient clipping: the one that leaves 95% of the units alone at the first step",
        "1",
        source="Brock et al. 2021, arXiv 2102.06171",
    )

    noise_scale: float | None = measure(
        "Trace of the gradient's covariance over its squared norm: samples a batch needs before more stop helping",
        "samples",
        source="McCandlish et al. 2018, arXiv 1812.06162",
    )
    jacobian_largest: float | None = measure("Largest singular value of the input-output Jacobian, one sample", "1")
    jacobian_rms: float | None = measure("Root mean square of its singular values", "1")
    sharpness: float | None = measure("Largest eigenvalue of the Hessian of the loss", "loss/weight^2")
    lookahead_ratio: float | None = measure(
        "Best loss of the look-ahead over that of the best answer that does not look at the input, or over the first "
        "loss where that is not known",
        "1",
    )
    lookahead_rate: float | None = measure("Learning rate that gave it", "1")
    lookahead_steps: int | None = measure("Steps of the look-ahead", "steps")
    risk: float | None = measure(
        "Probability that training fails, from several of these figures at once, with the look-ahead where it was "
        "asked for; calibrated in rules/risk.toml",
        "1",
    )
