"""Modules of `torch.ao.quantization`: their weights sit packed in an object that only C++ reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from initadvisor.frontends.torch_module.kernels import on_real_numbers
from initadvisor.frontends.torch_module.spellings import spelling

if TYPE_CHECKING:
    from initadvisor.frontends.torch_module.recorder import Recorder
    from initadvisor.frontends.torch_module.spellings import Spelling

_FLOAT = {
    "linear": torch.nn.functional.linear,
    **{f"conv{n}d": getattr(torch.nn.functional, f"conv{n}d") for n in (1, 2, 3)},
}
"""Stem of a quantised operator -> the operator it stands for."""


def quantised(recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
    """Record `quantized.linear_dynamic(x, packed)` and its kind as the operator on the unpacked weight."""
    args, kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    stem = next((s for s in _FLOAT if call.name.startswith(s)), None)
    held = next((recorder.twins.names.packed[id(a)] for a in args if id(a) in recorder.twins.names.packed), None)
    if stem is None or held is None:
        return recorder.operator(call, func, args, kwargs)
    result = on_real_numbers(recorder, func, args, kwargs)
    operands = [args[0], *(recorder.resolve(t) for t in held if t is not None)]
    return recorder.write_down(spelling(_FLOAT[stem]), tuple(operands), {}, operands, result)
