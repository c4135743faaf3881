"""Facts of the whole model."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from initadvisor.analysis.collect.backbone import averaged, backbone_facts, batch_norms
from initadvisor.analysis.collect.bonds import Bonds
from initadvisor.analysis.facts.model import ModelFacts
from initadvisor.analysis.facts.stretch import ResidualFacts
from initadvisor.analysis.stretches import Link, residual_growth
from initadvisor.graph import Activation, Layer

_WEIGHTS = frozenset({"linear", "embedding", "recurrent"})
_SUBTRACTING = frozenset({"batch_norm", "instance_norm"})
_LINEAR = Activation("linear", (), 1.0, 1.0)


def model_facts(bonds: Bonds) -> ModelFacts:
    """The facts of the model as a whole."""
    graph, summary = bonds.graph, bonds.graph.summary
    layers = [x for x in graph.layers if x.kind in _WEIGHTS]
    norms = [x for x in graph.layers if x.kind == "norm"]
    facts: dict[str, Any] = {
        "name": graph.target,
        "source": graph.source,
        "edges": graph.edges,
        "parameters": sum(p.size for p in graph.parameters.values() if p.is_float and not p.buffer),
        "layers": len(layers),
        "coverage": graph.coverage.parameters,
        "expect": summary.get("expect", ""),
        "classes": summary.get("classes", 0),
        "averaged": averaged(bonds),
        "batch_norms": batch_norms(bonds),
        "backbone": backbone_facts(bonds),
        **_draws(bonds, layers),
        **_likeness(bonds, layers),
        "recurrent_gain": max(_recurrent_gains(bonds, layers), default=None),
    }
    if graph.edges:
        blocks: tuple[dict[str, Any], ...] = summary.get("blocks", ())
        facts |= {
            "unused_parameters": len(summary.get("unused", ())),
            "depth": summary.get("depth"),
            "has_norm": bool(norms),
            "has_residual": bool(blocks),
            "norms": len(norms),
            "attention_branches": summary.get("attentions", 0),
            "residual_branches": summary.get("residual_adds", 0),
            "branch_scales": sum(bool(b["scales"]) for b in blocks),
            "output_activation": summary.get("output_activation", ""),
            "branch_end_ratio": _branch_end_ratio(bonds, layers),
            "residual": _residual(bonds, blocks),
            **_before_norms(bonds, layers),
            "dropouts": _dropouts(bonds, "dropout"),
            "alpha_dropouts": _dropouts(bonds, "alpha_dropout"),
            **_branch_norms(bonds, blocks),
            **_biases(bonds, layers),
        }
    return ModelFacts(**facts)


def _dropouts(bonds: Bonds, op: str) -> int:
    """Operators that drop something in training, whatever the mode of the recording."""
    return sum(node.op == op and node.attrs.get("p", 0.5) != 0.0 for node in bonds.graph.nodes)


def _draws(bonds: Bonds, layers: list[Layer]) -> dict[str, Any]:
    """Shares of the weights that look drawn, trained, or left at the framework's default."""
    drawn = trained_size = size = defaults = zeros = 0
    judged = 0
    for layer in layers:
        facts = bonds.weight(layer)
        if facts is None:
            continue
        zeros += facts.absmax == 0 and not facts.nan_count
        if facts.draw is None or facts.draw.method is None:
            continue
        judged += 1
        trained = bool(facts.draw.trained)
        drawn += not trained
        defaults += facts.draw.method == "pytorch_default"
        size += facts.count or 0
        trained_size += (facts.count or 0) if trained else 0
    if not judged:
        return {"zero_layers": zeros} if layers else {}
    return {
        "fresh": drawn / judged,
        "trained_share": trained_size / size if size else 0.0,
        "default_share": defaults / judged,
        "zero_layers": zeros,
    }


def _likeness(bonds: Bonds, layers: list[Layer]) -> dict[str, Any]:
    """How alike the units of layers are: one layer whose rows all differ makes those behind it differ, too."""
    found = [facts for layer in layers if (facts := bonds.weight(layer)) is not None]
    equal = [f.duplicate_rows for f in found if f.duplicate_rows is not None and f.shape and f.shape[0] > 1]
    ranks = [f.effective_rank for f in found if f.effective_rank is not None]
    return {"equal_rows": min(equal, default=None), "smallest_effective_rank": min(ranks, default=None)}


def _recurrent_gains(bonds: Bonds, layers: list[Layer]) -> list[float]:
    """rms * sqrt(fan_in) of the weights from one step's state to the next one's."""
    hidden = [bonds.gain(layer) for layer in layers if layer.role == "recurrent_hidden"]
    return [gain for gain in hidden if gain is not None]


def _branch_end_ratio(bonds: Bonds, layers: list[Layer]) -> float | None:
    ends, others = [], []
    for layer in layers:
        facts = bonds.weight(layer)
        if layer.kind != "linear" or facts is None or not facts.std:
            continue
        if layer.residual_role == "branch_end":
            ends.append(facts.std)
        elif layer.residual_role == "in_branch":
            others.append(facts.std)
    return median(ends) / median(others) if ends and others else None


def _before_norms(bonds: Bonds, layers: list[Layer]) -> dict[str, Any]:
    """The weights whose scale a norm divides out, and the median of their gains: rms times the root of the fan in."""
    gains = []
    for layer in layers:
        facts = bonds.weight(layer)
        if layer.kind == "linear" and layer.scale_invariant and layer.fan_in and facts is not None and facts.rms:
            gains.append(facts.rms * math.sqrt(layer.fan_in))
    return {"weights_before_norms": len(gains), "gain_before_norms": median(gains) if gains else None}


def _branch_norms(bonds: Bonds, blocks: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """How many branches end in a norm with a learned scale, and how many of these scales are zero."""
    found: list[Layer] = []
    for block in blocks:
        last = [bonds.layers[n] for n in block["ends"] if n in bonds.layers and bonds.layers[n].kind == "norm"]
        found.extend(x for x in last[:1] if x.weight is not None)
    zero = [x for x in found if (facts := bonds.weight(x)) is not None and facts.absmax == 0]
    return {
        "branch_end_norms": len(found),
        "zero_branch_end_norms": len(zero),
        "first_branch_end_norm": found[0].name if found else "",
    }


def _biases(bonds: Bonds, layers: list[Layer]) -> dict[str, Any]:
    """Biases that the norm right behind subtracts again."""
    found = []
    for layer in layers:
        norm = bonds.layers.get(layer.norm_after or "")
        if layer.kind != "linear" or layer.bias is None or norm is None:
            continue
        parameter = bonds.graph.parameters.get(layer.bias)
        one_channel_groups = norm.op == "group_norm" and norm.groups == norm.attrs.get("channels")
        if (norm.op in _SUBTRACTING or one_channel_groups) and (parameter is None or parameter.trainable is not False):
            found.append(layer)
    return {"biases_before_norm": len(found), "first_bias_before_norm": found[0].name if found else ""}


def _residual(bonds: Bonds, blocks: tuple[dict[str, Any], ...]) -> ResidualFacts:
    """The longest run of residual blocks with a norm neither in the branch nor on the stream."""
    best: list[dict[str, Any]] = []
    run: list[dict[str, Any]] = []
    for block in blocks:
        run = [] if block["norms"] or block["post_norm"] else [*run, block]
        if len(run) > len(best):
            best = run
    if not best:
        return ResidualFacts(unnormalised_blocks=0, growth=1.0, first_block="")
    growth, counted = residual_growth([_branch(bonds, block) for block in best])
    first = best[0]["layers"][0] if best[0]["layers"] else ""
    known = counted == len(best) and not math.isnan(growth)
    return ResidualFacts(unnormalised_blocks=len(best), growth=growth if known else None, first_block=first)


def _branch(bonds: Bonds, block: dict[str, Any]) -> list[Link]:
    """The layers and learned scales of a branch, in order."""
    links = [bonds.link(bonds.layers[n]) for n in block["layers"] if n in bonds.layers]
    for name in block["scales"]:
        scale = bonds.layers.get(name)
        if scale is not None and scale.role in ("layer_scale", "skip_gain"):
            facts = bonds.weight(scale)
            links.append(Link(name, (), facts.rms if facts is not None else None, _LINEAR))
    return links
