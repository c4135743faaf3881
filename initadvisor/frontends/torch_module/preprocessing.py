"""The normalization that published weights were trained with, from the libraries' own registries, offline."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from initadvisor.errors import MissingExtraError, NotFoundError


def published(name: str) -> Mapping[str, Any]:
    """{"mean", "std", "side", "weights"} of "resnet50:IMAGENET1K_V2", "torchvision:resnet50" or "timm:NAME".

    Without a tag after the model, the weights that torchvision calls its default. Raises NotFoundError for a name
    that no registry has, or weights that are not for images.
    """
    library, _, rest = name.partition(":")
    if library == "timm":
        return _timm(rest)
    return _torchvision(rest if library == "torchvision" else name, name)


def _torchvision(name: str, given: str) -> Mapping[str, Any]:
    from torchvision import models

    model, _, tag = name.partition(":")
    known = models.list_models()
    if model not in known:
        raise NotFoundError(f"torchvision has no model {model!r}", hint=_near(model, known))
    weights = models.get_model_weights(model)
    tags = [each.name for each in weights]
    if tag and tag not in weights.__members__:
        raise NotFoundError(f"{model} has no weights {tag!r}", hint=f"it has {', '.join(tags)}")
    transforms = weights[tag or "DEFAULT"].transforms()
    mean, std, crop = (getattr(transforms, key, None) for key in ("mean", "std", "crop_size"))
    if mean is None or std is None:
        raise NotFoundError(f"the transforms of {given} name no mean and std to hold images against")
    side = int(crop[0]) if crop else None
    return {
        "mean": tuple(mean),
        "std": tuple(std),
        "side": side,
        "weights": f"{model}:{weights[tag or 'DEFAULT'].name}",
    }


def _timm(name: str) -> Mapping[str, Any]:
    try:
        from timm.models import get_pretrained_cfg
    except ImportError as error:
        raise MissingExtraError(f"the preprocessing of timm:{name}", "timm") from error
    try:
        settings = get_pretrained_cfg(name)
    except (RuntimeError, KeyError, ValueError) as error:
        raise NotFoundError(f"timm has no weights {name!r}: {error}") from error
    if settings is None:
        raise NotFoundError(f"timm has no weights {name!r}")
    return {"mean": settings.mean, "std": settings.std, "side": settings.input_size[-1], "weights": f"timm:{name}"}


def _near(name: str, known: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else None
