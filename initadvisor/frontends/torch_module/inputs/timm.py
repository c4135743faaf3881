"""Example inputs for timm models: their own configuration says the input size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from initadvisor.frontends.torch_module.inputs.trial import Trial, floats


def trials(module: nn.Module) -> Iterator[Trial]:
    """Yield inputs of the size in `pretrained_cfg` (or `default_cfg`); nothing for a module without one."""
    config = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    size = config.get("input_size") if isinstance(config, Mapping) else None
    if not size or not all(isinstance(d, int) and d > 0 for d in size):
        return
    stem = getattr(module, "patch_embed", None)
    built = getattr(stem, "img_size", None)  # what was asked for at construction wins over the pretrained one
    if isinstance(built, tuple) and len(built) == 2 and len(size) == 3:
        yield Trial((floats(2, size[0], *built),), source="timm", note="patch embedding")
    yield Trial((floats(2, *size),), source="timm", note="pretrained_cfg")
