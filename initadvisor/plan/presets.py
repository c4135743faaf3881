"""Named sets of recipes, laid over the default advice in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initadvisor.errors import UsageError
from initadvisor.graph import Graph
from initadvisor.initializers.recipes import RECIPES, Choices
from initadvisor.plan.defaults import stack_gains

PRESETS: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "default": (),
    "vision": (("zero_last_norm", {}),),
    "gpt": (("gpt2", {}),),
    "vit": (("vit", {"mode": "timm"}),),
    "sigmoid-mlp": (("orthogonal", {}),),
    "fixup": (("fixup", {}),),
    "orthogonal": (("orthogonal", {}),),
    **{name.replace("_", "-"): ((name, {}),) for name in ("rezero", "layer_scale", "idinit", "zero", "recurrent")},
    **{name.replace("_", "-"): ((name, {}),) for name in ("t_fixup", "deep_norm", "sub_ln", "moe", "lora", "siren")},
    "sparse-orthogonal": (("sparse_orthogonal", {}),),
}


def preset_choices(graph: Graph, preset: str, params: Mapping[str, Any] | None = None) -> Choices:
    """The choices of a preset, or of a recipe by its own name with parameters; raises UsageError for another name."""
    if preset in PRESETS and not params:
        chosen: Choices = {}
        for name, own in PRESETS[preset]:
            chosen |= _run(graph, name, own)
        return chosen
    name = preset.replace("-", "_")
    if name not in RECIPES:
        known = ", ".join(sorted({*PRESETS, *(r.replace("_", "-") for r in RECIPES)}))
        raise UsageError(f"there is no preset {preset!r}", hint=f"the presets are {known}")
    return _run(graph, name, params or {})


def _run(graph: Graph, name: str, params: Mapping[str, Any]) -> Choices:
    """A recipe; those for stacks of one kind of layer get the gain of each place unless one is asked for."""
    if name in ("orthogonal", "sparse_orthogonal") and "gain" not in params:
        found = stack_gains(graph)
        own: dict[str, Any] = {"gains": {layer: gain for layer, (gain, _) in found.items()}}
        if name == "orthogonal":
            own["centred"] = frozenset(layer for layer, (_, centred) in found.items() if centred)
        return RECIPES[name](graph, **own, **params)
    return RECIPES[name](graph, **params)
