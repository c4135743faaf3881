"""The names of parameters as the torch module has them, as far as the file lets us know.

In this order: the signature of the exported program (dynamo), an initializer name that is a module's, the module path
of the node with its slot, the initializer's name. Initializer names alone are no guide: exporters rename what they
fold, and a merged tensor keeps the name of only one of its owners.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from initadvisor.frontends.onnx_model.builder import Builder
from initadvisor.frontends.onnx_model.operands import Use
from initadvisor.frontends.onnx_model.tensors import uniform
from initadvisor.graph import Node

_RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
_PRODUCTS = frozenset({"matmul", "gemm", "linear", "einsum"})
MADE_UP = re.compile(r"^(onnx::|/|\d+$)")
"""Names that the TorchScript exporter makes up for what it folded."""


BLOCK = re.compile(r"\d+")
"""The numbers in a path: what differs between the same places of repeated blocks."""


@dataclass(slots=True)
class Named:
    """A use and the name of the parameter that it reads; `sure` where the file itself says that name."""

    use: Use
    name: str
    sure: bool


class Naming:
    """Names the uses of one built graph."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._nodes = builder.graph.nodes
        self._origin = builder.origin
        self._next_level: dict[str, int] = {}
        self._levels: dict[int, int] = {}
        self._bias_of = self._biases()

    def name(self, use: Use, group: list[Use]) -> Named:
        """The name of the parameter that a use reads; `group` holds all uses of its stored tensor."""
        stored, shared = use.tensor.name, len(group) > 1
        if use.node < 0:
            return Named(use, stored, stored in self._origin.kinds)
        node = self._nodes[use.node]
        if self._origin.exporter == "dynamo":
            said = self._signature(use, node, shared)
            if said is not None:
                return Named(use, said, True)
        if node.op in _RECURRENT and use.slot == "weights...":
            return self._recurrent(use, node)
        if self._is_module_name(stored):
            elsewhere = self._elsewhere(use, node, group) if shared else None
            if elsewhere is not None:
                return Named(use, elsewhere, False)
            return Named(use, stored, self._origin.exporter == "torchscript")
        return Named(use, self._from_scope(use, node) or stored, False)

    def tied_name(self, use: Use) -> str | None:
        """What the module of a use calls a parameter that it shares with another."""
        node = self._nodes[use.node] if use.node >= 0 else None
        if node is None or not node.scope or node.op not in (*_PRODUCTS, "embedding", "conv", "permute"):
            return None
        leaf = _leaf(use, node) or ("weight" if node.op == "permute" else None)
        return None if leaf is None else f"{node.scope}.{leaf}"

    def placeless(self, group: list[Named]) -> bool:
        """Whether no use has a module path."""
        return all(n.use.node >= 0 and not self._nodes[n.use.node].scope for n in group)

    def own_name(self, use: Use) -> str:
        """A name for one use of a shared tensor of equal elements: that of the node's output, and the slot."""
        node = self._nodes[use.node]
        place = self._builder.graph.values[node.outputs[0]].name if node.outputs else str(node.id)
        return f"{place}.{use.slot.rstrip('.')}"

    def _is_module_name(self, stored: str) -> bool:
        if self._origin.exporter == "dynamo":
            return stored in self._origin.kinds
        return self._origin.exporter != "torchscript" or not MADE_UP.match(stored)

    # --- dynamo: the signature ----------------------------------------------------------------------------------

    def _signature(self, use: Use, node: Node, shared: bool) -> str | None:
        """The name of the torch parameter that this operand stands for, from the operator that the node was made of."""
        stored, kinds = use.tensor.name, self._origin.kinds
        if stored in kinds and not shared:
            return stored
        read = self._origin.module_names(self._builder.protos[use.node])
        if node.op in _RECURRENT:
            return self._recurrent_signature(use, node, read)
        if stored in read:
            return self._among(use, node, read) or stored if shared else stored
        folded = self._origin.folded.get(stored, ())
        if len(folded) == 1 and (not shared or folded[0] in read or not read):
            return folded[0]
        fitting = self._among(use, node, read)
        if fitting is not None:
            return fitting
        if len(read) == 1 and stored in kinds:
            return read[0]
        return folded[0] if len(folded) == 1 else stored if stored in kinds else None

    def _among(self, use: Use, node: Node, read: list[str]) -> str | None:
        """The one parameter among those that a torch operator read which fits the slot."""
        wanted = _leaf(use, node)
        if wanted is None:
            return None
        usable = [n for n in read if self._origin.kinds.get(n) != "buffer" or wanted.startswith("running")]
        fitting = [n for n in usable if ("bias" in _last(n)) == (wanted == "bias")]
        exact = [n for n in fitting if _last(n) == wanted]
        return (exact or fitting)[0] if exact or len(fitting) == 1 else None

    def _recurrent_signature(self, use: Use, node: Node, read: list[str]) -> str | None:
        """Torch lists the weights of all layers in one call; the level of the node says which are its own."""
        slots = _weight_slots(node)
        start = self._level(node) * len(slots)
        own = read[start : start + len(slots)]
        return own[slots.index(use.position)] if len(own) == len(slots) and use.position in slots else None

    def _elsewhere(self, use: Use, node: Node, group: list[Use]) -> str | None:
        """The name by module path where a merged tensor's own name is that of another module.

        The TorchScript exporter leaves an Identity for each further name of a merged tensor; optimisers remove it.
        """
        owner, _, leaf = use.tensor.name.rpartition(".")
        if self._origin.exporter != "torchscript" or not node.scope or node.scope == owner:
            return None
        if any(other.tensor.root is not None and other.tensor.dtype == other.tensor.root.dtype for other in group):
            return None
        if BLOCK.sub("#", owner) == BLOCK.sub("#", node.scope) or uniform(use.tensor.storage):
            return f"{node.scope}.{leaf}"
        return None

    # --- module paths -------------------------------------------------------------------------------------------

    def _recurrent(self, use: Use, node: Node) -> Named:
        slots = _weight_slots(node)
        leaves = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if node.attrs.get("has_biases") else [])
        turn, position = divmod(slots.index(use.position), len(leaves))
        leaf = f"{leaves[position]}_l{self._level(node)}"
        if turn or node.attrs.get("reverse"):
            leaf += "_reverse"
        stored = use.tensor.storage.name
        if not node.scope and self._is_module_name(stored) and use.tensor.pieces is None:
            return Named(use, stored, False)
        prefix = node.scope or self._builder.graph.values[node.outputs[0]].name
        return Named(use, f"{prefix}.{leaf}", False)

    def _level(self, node: Node) -> int:
        """The layer of a stacked recurrent module that a node is: its place among those of the same path."""
        if node.id not in self._levels:
            level = self._next_level.get(node.scope, 0) if node.scope else 0
            self._levels[node.id] = level
            self._next_level[node.scope] = level + 1
        return self._levels[node.id]

    def _from_scope(self, use: Use, node: Node) -> str | None:
        """Module path and slot; for a product, the name of the bias that is added to it."""
        leaf = _leaf(use, node)
        if leaf is None or not node.scope:
            return None
        bias = self._bias_of.get(node.id)
        if leaf == "weight" and bias is not None and bias.endswith("bias"):
            owner, _, own = bias.removesuffix("bias").rpartition(".")
            same_place = BLOCK.sub("#", owner) == BLOCK.sub("#", node.scope)
            return f"{node.scope if same_place else owner}.{own}weight"
        return f"{node.scope}.{leaf}"

    def _biases(self) -> dict[int, str]:
        """For each matrix product, the module's name of the bias that is added to its result."""
        found: dict[int, str] = {}
        if self._origin.exporter != "torchscript":
            return found
        made = {output: node.id for node in self._nodes if node.op in _PRODUCTS for output in node.outputs}
        for use in self._builder.values.uses:
            if use.node < 0 or not self._is_module_name(use.tensor.name):
                continue
            node = self._nodes[use.node]
            if node.op == "add":
                found.update((made[value], use.tensor.name) for value in node.inputs if value in made)
            elif node.op in _PRODUCTS and use.slot == "bias":
                found[node.id] = use.tensor.name
        return found


def _weight_slots(node: Node) -> list[int]:
    return list(range(3 if node.op == "lstm" else 2, len(node.inputs)))


def _leaf(use: Use, node: Node) -> str | None:
    """What torch calls a parameter in this slot of a module."""
    if use.slot in ("weight", "bias", "running_mean", "running_var"):
        return use.slot
    if node.op in _PRODUCTS:
        return "weight"
    if node.op in ("add", "sub"):
        return "bias"
    return "weight" if node.op == "mul" else None


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1]
