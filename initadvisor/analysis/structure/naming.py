"""What a layer is called: the module path of its weight, or the weight's own name."""

from __future__ import annotations

import re

from initadvisor.graph import Node

_WEIGHT = re.compile(
    r"""(?:^|\.)(?:
        parametrizations\.(?:weight|kernel)\.original\d* |   # torch.nn.utils.parametrize
        (?:weight|kernel)(?:_v|_g|_orig)?                    # plain, old-style weight and spectral norm
    )$""",
    re.VERBOSE,
)
_ANONYMOUS = re.compile(r"^(?:onnx::|[A-Za-z_]*?_?\d+$|t_|val_|_?[0-9])|::")
"""Names that exporters make up: onnx::MatMul_193, val_12, 517."""


def layer_name(parameter: str, scope: str) -> str:
    """The module path where the tensor is called weight or kernel, else the tensor's name.

    scope: the module that uses it, for tensors whose name an exporter made up.
    """
    if "." not in parameter and scope and _ANONYMOUS.search(parameter):
        return scope
    path = _WEIGHT.sub("", parameter)
    return path or parameter


_NORM_SCALE = re.compile(r"\.(?:weight|scale|gamma|bias|beta|running_mean)$")


def norm_name(parameter: str | None, running: str | None, node: Node, by_scope: bool) -> str:
    """The module path of a norm, from its scale, shift or running mean, else from the module that runs it."""
    named = parameter or running
    if named is None:
        return node.scope or f"{node.op}_{node.id}"
    if by_scope and "." not in named and node.scope and _ANONYMOUS.search(named):
        return node.scope
    return _NORM_SCALE.sub("", named)
