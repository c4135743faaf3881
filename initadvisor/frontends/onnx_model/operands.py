"""What a known tensor is to the node that reads it: a parameter, a buffer, or a constant of the computation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from initadvisor.frontends.onnx_model.exporters import Provenance
from initadvisor.frontends.onnx_model.tensors import CONSTANT_ELEMENTS, Tensor
from initadvisor.ops import Operator

Role = Literal["parameter", "buffer", "constant"]

_WEIGHTED = frozenset({"weighted", "norm", "embedding", "recurrent"})
_BUFFERS = frozenset({"running_mean", "running_var"})
_STATES = frozenset({"hidden", "cell", "lengths", "past_key", "past_value", "attn_mask", "attention_bias"})
_PARAMETER_SLOTS = frozenset({"weight", "bias", "left", "right", "operands...", "weights...", "peephole", "v", "g"})
_MASKED = -1e4
"""A table whose entries are all either 0 (or 1) or below this blocks attention: nobody trains it."""


@dataclass(slots=True)
class Use:
    """One place where a parameter is read: input `position` of node `node`; node -1 is the graph's outputs."""

    tensor: Tensor
    node: int
    position: int
    slot: str
    buffer: bool


def role(tensor: Tensor, entry: Operator | None, slot: str, origin: Provenance) -> Role:
    """Decide by what the exporter says, then by the slot, then by the tensor itself."""
    plain: Role = "constant" if tensor.size <= CONSTANT_ELEMENTS else "buffer"
    if tensor.origin == "derived":
        return plain
    said = origin.kinds.get(tensor.name)
    folded = origin.folded.get(tensor.name)
    if folded == ():
        return plain  # dynamo computed it from constants alone
    if said is None and folded is not None and len(folded) == 1 and tensor.size > 1:
        said = origin.kinds.get(folded[0])
    if said is not None and (tensor.is_float or said == "buffer"):
        return "parameter" if said == "parameter" else "buffer" if said == "buffer" else plain
    family = entry.family if entry is not None else ""
    if not tensor.is_float:
        return "buffer" if family in _WEIGHTED and tensor.size > 1 else plain
    if slot in _BUFFERS:
        return "buffer"
    if slot in _STATES or family == "quantize":
        return plain
    if family in _WEIGHTED and (slot in _PARAMETER_SLOTS or (entry is not None and slot in entry.layouts)):
        return "parameter" if tensor.size > 1 or slot in ("weight", "bias") else "constant"
    if slot == "weight":  # PReLU and its like
        return "parameter"
    if tensor.origin == "filled" and not tensor.direct:
        return plain
    if tensor.size <= 1:
        return "parameter" if is_named(tensor, origin) else "constant"
    if origin.exporter == "dynamo" and origin.targets:
        return plain
    if origin.exporter == "torchscript" and tensor.origin == "constant" and origin.stored_weights:
        return plain
    return plain if _is_mask(tensor) else "parameter"


def is_named(tensor: Tensor, origin: Provenance) -> bool:
    """Whether the name of a single number is that of a module's parameter (a logit scale, a ReZero factor)."""
    name = tensor.name
    if origin.kinds.get(name) == "parameter":
        return True
    if tensor.origin != "initializer" or origin.exporter != "torchscript":
        return False
    return "::" not in name and not name.startswith("/") and not name.isdecimal()


def _is_mask(tensor: Tensor) -> bool:
    array = tensor.array()
    if array is None or array.size == 0:
        return False
    blocked = array < _MASKED
    return bool(blocked.any() and np.isin(array[~blocked], (0.0, 1.0)).all())
