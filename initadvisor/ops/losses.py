"""Losses and distances."""

from __future__ import annotations

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import functional, spell

_REDUCE = "size_average reduce reduction"

register(
    "cross_entropy",
    "loss",
    "input target weight",
    torch=functional("cross_entropy", "input target weight size_average ignore_index reduce reduction label_smoothing"),
    onnx="SoftmaxCrossEntropyLoss",
)
register(
    "nll_loss",
    "loss",
    "input target weight",
    torch=functional("nll_loss", "input target weight size_average ignore_index reduce reduction"),
    onnx="NegativeLogLikelihoodLoss",
)
for _name in ("mse_loss", "l1_loss", "soft_margin_loss", "multilabel_margin_loss"):
    register(_name, "loss", "input target", torch=functional(_name, f"input target {_REDUCE}"))
register("smooth_l1_loss", "loss", "input target", torch=functional("smooth_l1_loss", f"input target {_REDUCE} beta"))
register("huber_loss", "loss", "input target", torch=functional("huber_loss", "input target reduction delta"))
register("kl_div", "loss", "input target", torch=functional("kl_div", f"input target {_REDUCE} log_target"))
register(
    "binary_cross_entropy",
    "loss",
    "input target weight",
    torch=functional("binary_cross_entropy", f"input target weight {_REDUCE}"),
)
register(
    "binary_cross_entropy_with_logits",
    "loss",
    "input target weight pos_weight",
    torch=functional("binary_cross_entropy_with_logits", f"input target weight {_REDUCE} pos_weight"),
)
register(
    "ctc_loss",
    "loss",
    "log_probs targets input_lengths target_lengths",
    torch=functional("ctc_loss", "log_probs targets input_lengths target_lengths blank reduction zero_infinity"),
)
for _name in ("hinge_embedding_loss", "poisson_nll_loss", "multi_margin_loss", "multilabel_soft_margin_loss"):
    register(_name, "loss", "input target", torch=functional(_name, "input target"))
register("gaussian_nll_loss", "loss", "input target var", torch=functional("gaussian_nll_loss", "input target var"))
for _name in ("margin_ranking_loss", "cosine_embedding_loss"):
    register(_name, "loss", "input1 input2 target", torch=functional(_name, "input1 input2 target margin"))
for _name in ("triplet_margin_loss", "triplet_margin_with_distance_loss"):
    register(_name, "loss", "anchor positive negative", torch=functional(_name, "anchor positive negative margin"))
register(
    "linear_cross_entropy",
    "loss",
    "input linear_weight target",
    torch=functional("linear_cross_entropy", "input linear_weight target"),
)
register("cosine_similarity", "loss", "input other", torch=functional("cosine_similarity", "input other dim eps"))
register("pairwise_distance", "loss", "input other", torch=functional("pairwise_distance", "input other p eps keepdim"))
register(
    "cdist",
    "loss",
    "input other",
    torch={"torch.functional.cdist": "input other p", "torch.cdist": "input other p"},
    onnx="com.microsoft::CDist",
)
register("pdist", "loss", "input", torch=functional("pdist", "input p"))
register("dist", "loss", "input other", torch=spell("dist", "input other p"))
