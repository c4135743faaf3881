"""Building a transformers model from a name or a configuration, without downloading."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from initadvisor.errors import FormatError, NotFoundError

_PREFERRED = (
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_MASKED_LM_MAPPING",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING",
    "MODEL_FOR_PRETRAINING_MAPPING",
    "MODEL_MAPPING",
)
"""Which head a bare model type gets: the one it is trained with from scratch."""


def maker(name: str) -> Callable[[], Any]:
    """How to build what `hf:name` means: a model or config class, a model type, a config file or folder.

    A name on the hub is looked up in the local cache only. Raises NotFoundError or FormatError.
    """
    import transformers

    if hasattr(transformers, name) and isinstance(getattr(transformers, name), type):
        found = getattr(transformers, name)
        if issubclass(found, transformers.PreTrainedModel):
            return lambda: found(found.config_class())
        if issubclass(found, transformers.PretrainedConfig):
            return lambda: from_config(found())
    path = Path(name)
    if path.is_dir():
        path = path / "config.json"
    if path.is_file():
        config = _from_file(path)
        return lambda: from_config(config)
    if name in transformers.CONFIG_MAPPING:
        return lambda: from_config(transformers.AutoConfig.for_model(name))
    try:
        cached = transformers.AutoConfig.from_pretrained(name, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        if "/" in name:
            raise NotFoundError(
                f"the configuration of {name!r} is not in the local cache, and nothing is downloaded",
                hint=f'fetch it first: "hf download {name} config.json"; or give a config file',
            ) from error
        known = [*transformers.CONFIG_MAPPING, *(n for n in dir(transformers) if n.startswith(name[:4]))]
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "nothing is downloaded: give a config file"
        raise NotFoundError(f"transformers has no model, config or cached checkpoint {name!r}", hint=hint) from error
    return lambda: from_config(cached)


def from_config(config: Any) -> Any:
    """A model with drawn weights: the architecture that the config names, else the usual head of its type."""
    import transformers
    from transformers.models.auto import modeling_auto

    for name in getattr(config, "architectures", None) or ():
        found = getattr(transformers, name, None)
        if isinstance(found, type):
            return found(config)
    for name in _PREFERRED:
        mapping = getattr(modeling_auto, name, {})
        if type(config) in mapping:
            found = mapping[type(config)]
            return (found[0] if isinstance(found, tuple | list) else found)(config)
    raise FormatError(f"transformers has no model for a {type(config).__name__}")


def _from_file(path: Path) -> Any:
    import transformers

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = content["model_type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"{path} is not the config of a transformers model: {error!r}") from error
    if kind not in transformers.CONFIG_MAPPING:
        raise FormatError(f"{path}: transformers does not know the model type {kind!r}")
    return transformers.CONFIG_MAPPING[kind].from_dict(content)
