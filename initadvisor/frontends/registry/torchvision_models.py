"""torchvision's weight registry: `torchvision.models.get_model_weights`, read without a download."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from initadvisor.frontends.registry.known import Known, PretrainedWeights

FEWEST, MOST = 0.2, 4.0
"""Parameters of a candidate over those of the model: a head of another size changes the count, by less than this."""


@lru_cache(maxsize=128)
def weights(architecture: str) -> tuple[PretrainedWeights, ...]:
    """The weights of one architecture, in the order of the library; empty for a name that it does not have."""
    from torchvision import models

    if architecture not in models.list_models():
        return ()
    return tuple(_weights(architecture, entry) for entry in models.get_model_weights(architecture))


def _weights(architecture: str, entry: Any) -> PretrainedWeights:
    meta: Mapping[str, Any] = entry.meta
    measured = {
        f"{data} {metric}": float(value)
        for data, metrics in meta.get("_metrics", {}).items()
        for metric, value in metrics.items()
    }
    categories = meta.get("categories")
    trained = re.sub(r"_(?:FE_|RAW_)?V\d+$", "", entry.name)
    return PretrainedWeights(
        library="torchvision",
        architecture=architecture,
        name=entry.name,
        load=f'torchvision.models.get_model("{architecture}", weights="{entry.name}")',
        trained_on=(trained,),
        license=meta.get("license"),
        accuracy=measured,
        preprocessing=_preprocessing(entry),
        classes=len(categories) if categories else None,
        parameters=meta.get("num_params"),
        url=entry.url,
        recipe=meta.get("recipe"),
        note=re.sub(r"`?([^`<]*?)\s*<(\S+)>`?_", r"\1 (\2)", " ".join(str(meta.get("_docs", "")).split())),
    )


def _preprocessing(entry: Any) -> dict[str, Any]:
    transform = entry.transforms()
    found: dict[str, Any] = {}
    for key, attribute in (("size", "crop_size"), ("resize", "resize_size"), ("mean", "mean"), ("std", "std")):
        value = getattr(transform, attribute, None)
        if value is not None:
            found[key] = list(value) if isinstance(value, list | tuple) else value
    interpolation = getattr(transform, "interpolation", None)
    if interpolation is not None:
        found["interpolation"] = getattr(interpolation, "value", str(interpolation))
    return found


def known(family: str | None, parameters: int) -> Iterator[Known]:
    """The architectures of about this size, as `torchvision.models` builds them without numbers."""
    from torchvision import models

    for name in models.list_models():
        if name.startswith("quantized_"):
            continue
        if family is not None and models.get_model_builder(name).__module__ != family:
            continue
        counts = [w.parameters for w in weights(name) if w.parameters]
        if counts and family is None and not FEWEST < parameters / counts[0] < MOST:
            continue
        yield Known("torchvision", name, entries(name))


@lru_cache(maxsize=256)
def entries(name: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of what the state dict of an architecture holds."""
    from initadvisor.frontends.options import LoadOptions
    from initadvisor.frontends.references import build

    module = build(f"torchvision:{name}", LoadOptions(meta=True))
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}
