"""Example inputs for torchvision's model classes, by what each family takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from initadvisor.frontends.torch_module.inputs.trial import Trial, floats


def trials(module: nn.Module) -> Iterator[Trial]:
    """Yield inputs for a module that torchvision defines; nothing for any other."""
    family = _family(module)
    if family == "detection":
        images = [floats(3, 320, 320), floats(3, 320, 320)]
        yield Trial((images,), source="torchvision", note="detection", evaluation=module.training)
    elif family == "optical_flow":
        yield Trial((floats(2, 3, 128, 128), floats(2, 3, 128, 128)), {"num_flow_updates": 2}, "torchvision", "flow")
    elif family == "video":
        for size in (112, 224):
            time, height, width = _video(module, size)
            yield Trial((floats(2, 3, time, height, width),), source="torchvision", note="video")
    elif family:
        sizes = [int(s) for s in (getattr(module, "image_size", None),) if isinstance(s, int)]
        inception = any(base.__name__ == "Inception3" for base in type(module).__mro__)
        for size in sizes or ([299] if inception else [224]):
            yield Trial((floats(2, 3, size, size),), source="torchvision", note=family)


def _family(module: nn.Module) -> str:
    for base in type(module).__mro__:
        parts = base.__module__.split(".")
        if parts[:2] == ["torchvision", "models"]:
            return parts[2] if len(parts) > 3 else "video" if "video" in parts else "classification"
    return ""


def _video(module: nn.Module, size: int) -> tuple[int, int, int]:
    """(frames, height, width) as the position embedding was built for, where there is one."""
    encoding: Any = getattr(module, "pos_encoding", None)
    if encoding is not None and hasattr(encoding, "temporal_size"):
        time, (height, width) = encoding.temporal_size, encoding.spatial_size
        stride = module.conv_proj.stride if isinstance(getattr(module, "conv_proj", None), nn.Conv3d) else (1, 1, 1)
        return time * stride[0], height * stride[1], width * stride[2]
    return 16, size, size
