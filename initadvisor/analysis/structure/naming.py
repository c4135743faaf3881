"""What a layer is called: the module path of its weight, or the weight's own name."""

from __future__ import annotations

import re

from initadvisor.graph import Node, Parameter

_WEIGHT = re.compile(
    r"""(?:^|\.)(?:
        parametrizations\.(?:weight|kernel)\.original\d* |   # torch.nn.utils.parametrize
        (?:weight|kernel)(?:_v|_g|_orig)?                    # plain, old-style weight and spectral norm
    )$""",
    re.VERBOSE,
)
_ANONYMOUS = re.compile(r"^(?:onnx::|[A-Za-z_]*?_?\d+$|t_|val_|_?[0-9])|::")
"""Names that exporters make up: onnx::MatMul_193, val_12, 517."""


def layer_name(parameter: Parameter, scope: str) -> str:
    """The module path where the tensor is called weight or kernel, else the tensor's name.

    scope: the module that uses it first. Of several names of one tensor the one in that module counts; a name that an
    exporter made up gives way to the module's.
    """
    inside = bool(scope) and parameter.name.startswith(f"{scope}.")
    if scope and not inside and any(module_path(alias) == scope for alias in parameter.aliases):
        return scope
    if "." not in parameter.name and scope and _ANONYMOUS.search(parameter.name):
        return scope
    return module_path(parameter.name)


def other_names(parameter: Parameter, name: str) -> tuple[str, ...]:
    """The paths of a tensor's other names than the one that its layer goes by."""
    paths = (module_path(n) for n in (parameter.name, *parameter.aliases))
    return tuple(dict.fromkeys(path for path in paths if path != name and path != name.rpartition(".")[0]))


def module_path(parameter: str) -> str:
    """The path of the module that owns a tensor called weight or kernel, else the tensor's own name."""
    return _WEIGHT.sub("", parameter) or parameter


_NORM_SCALE = re.compile(r"\.(?:weight|scale|gamma|bias|beta|running_mean)$")


def norm_name(parameter: str | None, running: str | None, node: Node) -> str:
    """The module path of a norm, from its scale, shift or running mean, else from the module that runs it."""
    named = parameter or running
    if named is None:
        return node.scope or f"{node.op}_{node.id}"
    if "." not in named and node.scope and _ANONYMOUS.search(named):
        return node.scope
    return _NORM_SCALE.sub("", named)
