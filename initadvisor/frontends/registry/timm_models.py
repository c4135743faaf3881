"""timm's registry of pretrained configurations, read without a download."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from initadvisor.frontends.registry.known import Known, PretrainedWeights


@lru_cache(maxsize=128)
def weights(architecture: str) -> tuple[PretrainedWeights, ...]:
    """The weights of one architecture, in the order of the library; empty for a name that it does not have.

    timm publishes its accuracies as tables beside the library, not in it: none are given.
    """
    import timm
    from timm.models import get_pretrained_cfg

    if not timm.is_model(architecture):
        return ()
    found = []
    for name in dict.fromkeys(timm.list_pretrained(f"{architecture}.*") + timm.list_pretrained(architecture)):
        config = get_pretrained_cfg(name)
        if config is not None and config.has_weights:
            found.append(_weights(architecture, name, config))
    return tuple(found)


def _weights(architecture: str, name: str, config: Any) -> PretrainedWeights:
    tag = str(config.tag or "")
    steps = tag.split("_ft_")
    preprocessing = {
        "size": list(config.input_size[1:]),
        "crop": config.crop_pct,
        "mean": list(config.mean),
        "std": list(config.std),
        "interpolation": config.interpolation,
    }
    return PretrainedWeights(
        library="timm",
        architecture=architecture,
        name=name,
        load=f'timm.create_model("{name}", pretrained=True)',
        trained_on=tuple(step.rpartition("_")[2] or step for step in steps if step),
        license=config.license if config.license not in ("", "unknown") else None,
        preprocessing=preprocessing,
        classes=config.num_classes or None,
        url=f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url or None,
        recipe=config.paper_ids if isinstance(config.paper_ids, str) else None,
        note=f"from {config.origin_url}" if config.origin_url else "",
    )


def known(family: str | None, parameters: int) -> Iterator[Known]:
    """The architectures of one module of timm; nothing without one, as building all of them takes minutes."""
    import timm

    if family is None:
        return
    for name in timm.list_models(module=family.rpartition(".")[2]):
        yield Known("timm", name, entries(name))


@lru_cache(maxsize=256)
def entries(name: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of what the state dict of an architecture holds."""
    from initadvisor.frontends.options import LoadOptions
    from initadvisor.frontends.references import build

    module = build(f"timm:{name}", LoadOptions(meta=True))
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}
