"""The models of the public libraries, each with the ways to build it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from math import gcd
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
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "image_token_id": 5,
    "image_token_index": 5,
    "video_token_id": 6,
    "video_token_index": 6,
    "audio_token_id": 7,
    "audio_token_index": 7,
    "vocabulary_map": {"<image>": 5, "<|extra_200|>": 6, "IMGIMGAZ": 8, "IMGIMGBZ": 9, "<|visual token 000001|>": 10},
}
"""Settings that a checkpoint gives and that a configuration class may leave None: a small value for each."""

_GLM_ROPE = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5, "mrope_section": [8, 12, 12]}

RECIPES: dict[str, dict[str, Any]] = {
    **{kind: {"rope_parameters": _GLM_ROPE} for kind in ("glm4v_text", "glm_image_text")},
    **{kind: {"text_config": {"rope_parameters": _GLM_ROPE}} for kind in ("glm4v", "glm46v", "glm_image")},
    "glm_ocr": {"text_config": {"rope_parameters": {**_GLM_ROPE, "partial_rotary_factor": 1.0}, "head_dim": 64}},
    "glm4v_moe_text": {"rope_parameters": _GLM_ROPE, "head_dim": 128},
    "glm4v_moe": {"text_config": {"rope_parameters": _GLM_ROPE, "head_dim": 128}},
    "xmod": {"default_language": "en_XX"},
    "lfm2_moe": {"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"]},
}
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
    tried: list[dict[str, Any]] = []
    for wanted in (partial(_settings, depths=True), partial(_settings, depths=True, nested=False), _settings):
        try:
            settings = wanted(config(**recipe))
        except Exception:  # the configuration cannot be made: the build says why
            settings = {}
        if settings not in tried:
            tried.append(settings)
            yield lambda settings=settings: model(config(**{**settings, **recipe}))


def _settings(config: Any, depths: bool = False, nested: bool = True) -> dict[str, Any]:
    """What to add to a configuration and to those inside it: what is absent, and two blocks in every stack."""
    found: dict[str, Any] = {}
    width, heads = getattr(config, "hidden_size", None), getattr(config, "num_attention_heads", None)
    for key, value in vars(config).items():
        if value is None and key in ABSENT:
            found[key] = ABSENT[key]
        elif (
            value is None
            and key == "sliding_window"
            and "sliding_attention" in (getattr(config, "layer_types", None) or ())
        ):
            found[key] = 8
        elif value is None and key == "head_dim" and isinstance(width, int) and isinstance(heads, int):
            found[key] = width // heads if width % (2 * heads) == 0 else 64
        elif key == "num_attention_heads" and isinstance(width, int) and type(value) is int and width % value:
            if "head_dim" not in vars(config):
                found[key] = gcd(width, value)
        elif value is None and key == "num_key_value_heads" and isinstance(heads, int):
            found[key] = heads
        elif depths and key in DEPTHS and type(value) is int and value > 2:
            found[key] = _blocks(config, value)
        elif nested and hasattr(value, "to_diff_dict") and hasattr(value, "model_type"):
            inner = {**_settings(value, depths), **_joined(value, config)}
            if inner:
                kept = {k: v for k, v in value.to_diff_dict().items() if not isinstance(v, list)}
                found[key] = {**kept, "model_type": value.model_type, **inner}
    return found


def _blocks(config: Any, whole: int) -> int:
    """Two, or as many as it takes until every kind of block has come up."""
    kinds = getattr(config, "layer_types", None)
    if not isinstance(kinds, list) or len(kinds) != whole:
        return 2
    return max(2, *(kinds.index(kind) + 1 for kind in kinds))


def _joined(part: Any, owner: Any) -> dict[str, Any]:
    """A tower gives features as wide as the text that they are put into; the defaults of many classes forget it."""
    text = getattr(owner, "text_config", None)
    width = getattr(text, "hidden_size", None) if text is not part else None
    names = ["out_hidden_size"] if hasattr(part, "out_hidden_size") else ["hidden_size"] * hasattr(part, "embed_dim")
    return {name: width for name in names if isinstance(width, int) and getattr(part, name, None) != width}
