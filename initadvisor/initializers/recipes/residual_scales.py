"""SkipInit, ReZero, LayerScale, zero-init of the last norm: branches that a scale switches on."""

from __future__ import annotations

from initadvisor.graph import Graph
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import branches, constant
from initadvisor.initializers.spec import InitSpec


@recipe("rezero")
def rezero(graph: Graph) -> Choices:
    """Every learned scale at the end of a branch starts at zero.

    Formula: x + a f(x), a = 0.
    Use: residual networks with a learned scalar a branch (ReZero, SkipInit).
    Caveat: the weights of the branches get no gradient at the first step: by design.
    Source: Bachlechner et al. 2020, arXiv 2003.04887; SkipInit: De and Smith 2020, arXiv 2002.10444.
    """
    zero = Choice(InitSpec("zeros"), "a scale of zero makes the block the identity at the start")
    return {scale.weight or "": zero for branch in branches(graph) for scale in branch.scales}


recipe("skipinit")(rezero)


@recipe("layer_scale")
def layer_scale(graph: Graph, value: float | None = None) -> Choices:
    """Every per-channel scale at the end of a branch starts small, the smaller the deeper.

    Formula: x + diag(gamma) f(x); gamma .1 up to 18 blocks, 1e-5 up to 24, 1e-6 beyond, or `value`.
    Use: deep transformers with LayerScale.
    Caveat: a block is an attention and a feed-forward branch: the number of blocks is half that of the branches.
    Source: Touvron et al. 2021, arXiv 2103.17239.
    """
    found = [branch for branch in branches(graph) if branch.scales]
    depth = (len(found) + 1) // 2
    gamma = value if value is not None else 0.1 if depth <= 18 else 1e-5 if depth <= 24 else 1e-6
    chosen = Choice(constant(gamma), f"LayerScale starts at {gamma:g} for {depth} blocks")
    return {scale.weight or "": chosen for branch in found for scale in branch.scales}


@recipe("zero_last_norm")
def zero_last_norm(graph: Graph) -> Choices:
    """The scale of the norm that ends a residual branch starts at zero.

    Formula: gamma = 0 at the branch end, 1 elsewhere.
    Use: residual networks with batch norm, above all at large batch.
    Caveat: the convolutions of the branch get no gradient at the first step: by design.
    Source: Goyal et al. 2017, arXiv 1706.02677.
    """
    zero = Choice(InitSpec("zeros"), "a norm scale of zero at the branch end makes the block the identity at the start")
    chosen: Choices = {}
    for branch in branches(graph):
        for end in branch.ends:
            if end.kind == "norm" and end.weight is not None:
                offset = float(end.attrs.get("weight_offset") or 0.0)
                chosen[end.weight] = zero if not offset else Choice(constant(-offset), zero.reason)
    return chosen


@recipe("residual_depth")
def residual_depth(graph: Graph, std: float = 0.02) -> Choices:
    """The last layer of every branch is drawn smaller by the root of the number of branches.

    Formula: W ~ N(0, (std / sqrt(B))^2), B the number of residual branches.
    Use: pre-norm transformers; the sum of B branches then has the variance of one.
    Caveat: std knows nothing of the fan.
    Source: Radford et al. 2019 (GPT-2); Shoeybi et al. 2019 (Megatron), arXiv 1909.08053.
    """
    found = branches(graph)
    chosen: Choices = {}
    for branch in found:
        for end in branch.ends:
            if end.kind == "linear" and end.weight is not None:
                spec = InitSpec("normal", {"std": std / len(found) ** 0.5})
                chosen[end.weight] = Choice(spec, f"a residual output is drawn with {std:g} / sqrt({len(found)})")
    return chosen
