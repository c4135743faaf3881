"""One ONNX node as a module of its own, so that hooks see what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from initadvisor.errors import InitAdvisorError, MissingExtraError, TargetCodeError
from initadvisor.frontends.onnx_model.text import shown
from initadvisor.probe.onnx_torch.registry import Call, Implementation

_HANDLED = (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, NotImplementedError)


class OnnxNode(torch.nn.Module):  # type: ignore[misc]
    """Runs one operator; its inputs and outputs are those of the node, in their order."""

    def __init__(self, call: Call, run: Implementation) -> None:
        super().__init__()
        self._call = call
        self._run = run

    @property
    def spelling(self) -> str:
        """The operator's type, with its domain outside the standard."""
        return self._call.spelling

    def carry_codes(self, as_floats: bool) -> None:
        """Whether quantized codes leave the node as floats, which a gradient can pass."""
        self._call.codes = as_floats

    def extra_repr(self) -> str:
        """What `print(module)` says of the node."""
        return self._call.spelling

    def forward(self, *inputs: Any) -> Any:
        """The node's output, or a tuple of its outputs.

        Raises LimitError before an operator makes a tensor that is too large, TargetCodeError where it fails.
        """
        call = self._call
        call.training = self.training
        try:
            return self._run(call, *on_one_device(inputs))
        except InitAdvisorError as error:
            if isinstance(error, MissingExtraError) or error.message.startswith("node "):
                raise
            raise type(error)(f"{label(call)}: {error.message}", hint=error.hint) from None
        except torch.OutOfMemoryError:
            raise
        except _HANDLED as error:
            if "DefaultCPUAllocator" in str(error):
                raise
            reason = str(error).strip().split("\n")[0]
            raise TargetCodeError(f"{label(call)} failed on {described(inputs)}: {reason}") from error


def label(call: Call) -> str:
    """How messages name a node."""
    return f"node {shown(call.name)} ({shown(call.spelling)}, operator set {call.opset})"


def described(inputs: Sequence[Any]) -> str:
    """Types and shapes of inputs, for messages."""
    kinds = []
    for x in inputs[:8]:
        if isinstance(x, torch.Tensor):
            kinds.append(f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}")
        else:
            kinds.append("nothing" if x is None else type(x).__name__)
    return ", ".join(kinds) or "no inputs"


def on_one_device(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs, those on the host moved where the others are.

    Shapes, axes and small tables stay on the host, where they are read without waiting for the device; what meets
    tensors on the device in an operator follows them.
    """
    devices = {x.device for x in inputs if isinstance(x, torch.Tensor)}
    if len(devices) < 2:
        return inputs
    target = next(device for device in devices if device.type != "cpu")
    return tuple(x.to(target) if isinstance(x, torch.Tensor) else x for x in inputs)
