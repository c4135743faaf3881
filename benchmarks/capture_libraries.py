"""The models of the public libraries, each with the ways to build it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

Builds = Iterator[Callable[[], Any]]

DEPTHS = (
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "depth", "encoder_layers", "decoder_layers"),
    *("num_encoder_layers", "num_decoder_layers", "num_hidden_blocks"),
)
"""Settings that say how often a block is repeated."""

ABSENT: dict[str, Any] = {
    "vocab_size": 120,
    "prediction_length": 8,
    "num_experts_per_tok": 2,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "image_token_id": 5,
    "image_token_index": 5,
    "video_token_id": 6,
    "video_token_index": 6,
    "audio_token_id": 7,
    "audio_token_index": 7,
}
"""Settings that a checkpoint gives and that a configuration class may leave None: a small value for each."""

RECIPES: dict[str, dict[str, Any]] = {}
"""Model type -> settings without which its configuration class does not describe a model."""


def torchvision() -> Iterator[tuple[str, Builds]]:
    """Every name of `torchvision.models.list_models()`."""
    from torchvision import models

    def build(name: str) -> Any:
        known = inspect.signature(models.get_model_builder(name)).parameters
        return models.get_model(name, **{k: None for k in ("weights", "weights_backbone") if k in known})

    for name in models.list_models():
        yield name, iter([lambda name=name: build(name)])


def timm() -> Iterator[tuple[str, Builds]]:
    """Every name of `timm.list_models()`."""
    import timm

    for name in timm.list_models():
        yield name, iter([lambda name=name: timm.create_model(name)])


def transformers() -> Iterator[tuple[str, Builds]]:
    """Every class that an AutoModel* table names, base models first."""
    import transformers
    from transformers import BertModel, LlamaForCausalLM  # noqa: F401  what most of the others import too
    from transformers.models.auto import modeling_auto

    seen = set()
    tables = [n for n in dir(modeling_auto) if n.startswith("MODEL_") and n.endswith("_NAMES")]
    for table in sorted(tables, key=lambda n: (n != "MODEL_MAPPING_NAMES", n)):
        for kind, names in getattr(modeling_auto, table).items():
            for name in [names] if isinstance(names, str) else names:
                if name not in seen:
                    seen.add(name)
                    yield f"{kind}/{name}", _configured(transformers, kind, name)


def _configured(transformers: Any, kind: str, name: str) -> Builds:
    """The class on its default configuration with two blocks a stack, else on the defaults as they are."""
    try:
        model = getattr(transformers, name)
        config = model.config_class
    except Exception as error:
        message = str(error)

        def missing() -> Any:
            raise ImportError(message)

        yield missing
        return
    recipe = RECIPES.get(kind, {})
    try:
        plain = config(**recipe)
        recipe = {**{k: v for k, v in ABSENT.items() if getattr(plain, k, v) is None}, **recipe}
        whole = shortened(plain)
    except Exception:  # the configuration cannot be made: the last build below says why
        whole = {}
    top = {key: value for key, value in whole.items() if not isinstance(value, dict)}
    tried: list[dict[str, Any]] = []
    for settings in (whole, top, {}):
        if settings not in tried:
            tried.append(settings)
            yield lambda settings=settings: model(config(**{**recipe, **settings}))


def shortened(config: Any) -> dict[str, Any]:
    """The settings that leave two blocks in every stack of a configuration and of those inside it."""
    found: dict[str, Any] = {}
    for key, value in vars(config).items():
        if key in DEPTHS and type(value) is int and value > 2:
            found[key] = 2
        elif hasattr(value, "to_diff_dict") and hasattr(value, "model_type"):
            inner = shortened(value)
            if inner:
                kept = {k: v for k, v in value.to_diff_dict().items() if not isinstance(v, list)}
                found[key] = {**kept, "model_type": value.model_type, **inner}
    return found
