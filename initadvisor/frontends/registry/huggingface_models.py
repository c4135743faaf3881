"""What transformers says of the weights behind a model type: the checkpoint that its configuration is modelled on."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from initadvisor.frontends.registry.known import PretrainedWeights

_LINK = re.compile(r"\[([\w.-]+(?:/[\w.-]+)?)\]\(https://huggingface\.co/\1\)")


@lru_cache(maxsize=64)
def weights(architecture: str) -> tuple[PretrainedWeights, ...]:
    """The checkpoints that the documentation of a model type names; empty for a type that is not known.

    transformers holds neither licences nor accuracies: the checkpoint's own page does.
    """
    import transformers

    if architecture not in transformers.CONFIG_MAPPING:
        return ()
    kind = transformers.CONFIG_MAPPING[architecture]
    names = dict.fromkeys(match[1] for match in _LINK.finditer(kind.__doc__ or ""))
    return tuple(_weights(architecture, name) for name in names)


def _weights(architecture: str, name: str) -> PretrainedWeights:
    return PretrainedWeights(
        library="transformers",
        architecture=architecture,
        name=name,
        load=f'transformers.AutoModel.from_pretrained("{name}")',
        preprocessing=_preprocessing(architecture),
        url=f"https://huggingface.co/{name}",
        note="the configuration's defaults are modelled on this checkpoint",
    )


def _preprocessing(architecture: str) -> dict[str, Any]:
    """The defaults of the image processor that goes with a model type; empty for what takes no images."""
    import transformers
    from transformers.models.auto import image_processing_auto

    names = getattr(image_processing_auto, "IMAGE_PROCESSOR_MAPPING_NAMES", {}).get(architecture)
    if isinstance(names, dict):
        names = tuple(names.values())
    for name in names or ():
        try:
            processor = getattr(transformers, name)
        except (ImportError, AttributeError, TypeError):
            continue
        found = {"size": "size", "mean": "image_mean", "std": "image_std"}
        values = {key: getattr(processor, attribute, None) for key, attribute in found.items()}
        if values["mean"] is not None:
            return {key: value for key, value in values.items() if value is not None}
    return {}


def configured(module: Any) -> tuple[str, str | None] | None:
    """(model type, name of the checkpoint it was made from) of a transformers model, or None for any other module."""
    config = getattr(module, "config", None)
    kind = getattr(config, "model_type", None)
    if not isinstance(kind, str) or not type(module).__module__.startswith("transformers."):
        return None
    path = getattr(config, "_name_or_path", "")
    return kind, path if isinstance(path, str) and path else None
