"""What the two torch exporters leave in a file about the module it came from: paths, parameter names, kinds.

The dynamo exporter writes `pkg.torch.onnx.name_scopes` and `fx_node` on each node and the signature of the exported
program on the graph. The TorchScript exporter puts the path into node names ("/layer1/layer1.0/conv1/Conv").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from initadvisor.frontends.onnx_model.text import long_text, text

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
_SCOPES = "pkg.torch.onnx.name_scopes"
_FX_NODE = "pkg.torch.onnx.fx_node"
_KIND = "pkg.torch.export.graph_signature.InputSpec.kind"
_RULES = "pkg.onnxscript.rewriter.rule_name"
_FOLDED = "pkg.onnxscript.optimizer.folded_from"

_SAMPLE = 100
"""Nodes looked at to tell which exporter wrote a file."""

_FLOATS = frozenset({1, 10, 11, 16})
_SIGNATURE_LINE = re.compile(r"^(\w+): (PARAMETER|BUFFER|CONSTANT_TENSOR) target='([^']*)'", re.MULTILINE)
_PLACEHOLDER = re.compile(r"%(\w+)")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")


@dataclass(slots=True)
class Provenance:
    """Where a model came from, as far as the file says.

    exporter: "dynamo", "torchscript" or "" for any other.
    targets: fx placeholder -> name in the torch module; kinds: that name -> "parameter", "buffer" or "constant".
    folded: initializer -> names in the torch module that it was computed from.
    stored_weights: whether weights are initializers, as both exporters write them, and not Constant nodes.
    """

    exporter: str = ""
    targets: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    folded: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stored_weights: bool = False

    def scope(self, node: NodeProto) -> tuple[str, int] | None:
        """(module path, nth call of it) of a node, or None where the file does not say."""
        if self.exporter == "dynamo":
            scopes = _property(node.metadata_props, _SCOPES)
            if scopes is None:
                return None
            names = _QUOTED.findall(scopes)
            return _call(names[-2] if len(names) > 1 else "")
        name = text(node.name)
        if name.startswith("/"):
            return script_path(name), 0
        return None

    def module_names(self, node: NodeProto) -> list[str]:
        """The names of the parameters and buffers that the torch operator behind a node read, in its order."""
        if not self.targets:
            return []
        call = _property(node.metadata_props, _FX_NODE) or ""
        arguments = call[call.find("](args") :]
        return [self.targets[name] for name in _PLACEHOLDER.findall(arguments) if name in self.targets]

    def batch_norm_folded(self, node: NodeProto) -> bool:
        """Whether the exporter says that it folded a batch normalization into this convolution."""
        return "FuseBatchNorm" in (_property(node.metadata_props, _RULES) or "")


def provenance(model: ModelProto) -> Provenance:
    """Read what the file as a whole says about its origin."""
    found = Provenance()
    graph = model.graph
    signature = _property(graph.metadata_props, _SIGNATURE)
    if signature is None and not any(_property(node.metadata_props, _SCOPES) for node in graph.node[:_SAMPLE]):
        if text(model.producer_name) == "pytorch" or _has_script_paths(graph.node[:_SAMPLE]):
            found.exporter = "torchscript"
            found.stored_weights = any(tensor.data_type in _FLOATS for tensor in graph.initializer)
        return found
    found.exporter = "dynamo"
    for placeholder, kind, target in _SIGNATURE_LINE.findall(signature or ""):
        found.targets[placeholder] = target
        found.kinds[target] = {"PARAMETER": "parameter", "BUFFER": "buffer"}.get(kind, "constant")
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.value_info:
        if value.name not in weights:
            continue
        kind = (_property(value.metadata_props, _KIND) or "").lower()
        if kind in ("parameter", "buffer"):
            found.kinds.setdefault(text(value.name), kind)
        origin = _property(value.metadata_props, _FOLDED)
        if origin is not None:
            found.folded[text(value.name)] = tuple(n for n in _QUOTED.findall(origin) if n in found.kinds)
    return found


def _has_script_paths(nodes: Iterable[NodeProto]) -> bool:
    """Whether node names are module paths: tools that rewrite an export put their own name as the producer."""
    names = [name for node in nodes if (name := text(node.name))]
    return 2 * sum(name.startswith("/") for name in names) > len(names)


def script_path(name: str) -> str:
    """The module path in a TorchScript node name: "/layer1/layer1.0/conv1/Conv" is "layer1.0.conv1".

    A child of a container repeats the container's name, so that a part which continues the one before replaces it.
    """
    path: list[str] = []
    for part in name.split("/")[1:-1]:
        if path and part.startswith(path[-1] + "."):
            path[-1] = part
        else:
            path.append(part)
    return ".".join(path)


def _call(scope: str) -> tuple[str, int]:
    """A scope of dynamo and the call it names: "relu@1" is the second call of "relu"."""
    path, _, call = scope.partition("@")
    return (path, int(call)) if call.isdecimal() and len(call) < 6 else (scope, 0)


def _property(properties: Iterable[object], key: str) -> str | None:
    for entry in properties:
        if entry.key == key:  # type: ignore[attr-defined]
            return long_text(entry.value)  # type: ignore[attr-defined]
    return None
