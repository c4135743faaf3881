"""Calls whose answer depends on numbers that a virtual tensor does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from initadvisor.frontends.torch_module.kernels import material
from initadvisor.frontends.torch_module.sites import site

if TYPE_CHECKING:
    from initadvisor.frontends.torch_module.recorder import Recorder
    from initadvisor.frontends.torch_module.spellings import Spelling


def _known(recorder: Recorder, tensor: torch.Tensor) -> torch.Tensor:
    """The stand-in of a tensor, with its real numbers where they are known."""
    stand_in: torch.Tensor = recorder.resolve(tensor)
    known = recorder.twins.numbers(stand_in) if stand_in.is_meta else None
    return stand_in if known is None else known


def _truth(recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
    tensor = _known(recorder, args[0])
    if not tensor.is_meta:
        return func(tensor)
    if tensor.numel() > 1:
        return func(torch.ones(2))  # the error that torch raises for an ambiguous truth value
    where = site(3)
    answer = recorder.guesses.truth(_maker(recorder, tensor), where)
    recorder.tape.event("guess", f"a branch on a tensor's value was taken as {answer}", where)
    return answer


def _verdict(recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
    """`torch.equal`, `torch.allclose`: the answer is a bool at once."""
    args, kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    if not any(isinstance(a, torch.Tensor) and a.is_meta for a in args):
        return func(*args, **kwargs)
    where = site(3)
    answer = recorder.guesses.truth(call.native, where)
    recorder.tape.event("guess", f"{call.name} of two tensors was taken as {answer}", where)
    return answer


def _number(kind: type) -> Any:
    def read(recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
        tensor = _known(recorder, args[0])
        if not tensor.is_meta:
            return func(tensor)
        if tensor.numel() != 1:
            return func(torch.ones(tuple(tensor.shape), dtype=tensor.dtype))
        answer = recorder.guesses.number(tensor, kind)
        recorder.tape.event("guess", f"a number read from a tensor was taken as {answer}", site(3))
        return answer

    return read


def _numbers(recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
    """`tolist`, `numpy`: ones, or the real numbers where they are known."""
    tensor, args, kwargs = _known(recorder, args[0]), recorder.resolve(args), recorder.resolve(kwargs)
    if tensor.is_meta:
        recorder.guesses.given = True
        recorder.tape.event("guess", f"numbers read with {call.name} were taken as ones", site(3))
        tensor = torch.ones(tuple(tensor.shape), dtype=tensor.dtype)
    return func(tensor.detach(), *args[1:], **kwargs)


def _getitem(recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
    """Masks become positions, so that a virtual tensor can be indexed by them."""
    args = recorder.resolve(args)
    return recorder.operator(call, _Indexed(recorder, func), args, recorder.resolve(kwargs))


class _Indexed:
    """`x[index]` or `x[index] = value` with boolean masks replaced by the positions that they pick."""

    def __init__(self, recorder: Recorder, func: Any) -> None:
        self._recorder = recorder
        self._func = func

    def __call__(self, tensor: torch.Tensor, index: Any, *value: Any) -> Any:
        if tensor.is_meta:
            parts = index if isinstance(index, tuple) else (index,)
            index = tuple(p for part in parts for p in self._positions(part))
        try:
            return self._func(tensor, index, *value)
        except (RuntimeError, IndexError):
            # After guessed numbers, made-up bounds may not fit the value; a write changes no shape, so go on.
            if not (value and tensor.is_meta and self._recorder.guesses.given):
                raise
            self._recorder.tape.event("guess", "a write whose bounds were guessed did not fit and was assumed", site(4))
            return None

    def _positions(self, part: Any) -> tuple[Any, ...]:
        if isinstance(part, list):
            part = torch.tensor(part)
        if isinstance(part, slice):
            return (part,)
        if not isinstance(part, torch.Tensor):
            return (part,)
        if part.dtype not in (torch.bool, torch.uint8):
            return (part,)
        known = self._recorder.twins.numbers(part) if part.is_meta else part
        if known is not None:
            part = known
        else:
            self._recorder.tape.event("guess", "a mask was taken to pick every other element", site(4))
            part = material(part)
        if part.dim() == 0:
            return (None, torch.arange(1 if bool(part) else 0, device="meta"))
        return tuple(p.to("meta") for p in part.nonzero(as_tuple=True))


def _suppressed(recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
    """Non-maximum suppression keeps a handful of boxes: every further one would only repeat the same operators."""
    args, kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    boxes = args[0]
    if not boxes.is_meta:
        return recorder.operator(call, func, args, kwargs)
    kept = torch.arange(min(int(boxes.shape[0]), _KEPT))
    recorder.tape.event("guess", f"{call.name} was taken to keep {len(kept)} boxes", site(3))
    return recorder.operator(call, lambda *_, **__: kept, args, kwargs)


_KEPT = 8
"""Boxes that survive a guessed non-maximum suppression."""


def _split(recorder: Recorder, call: Spelling, func: Any, args: Any, kwargs: Any) -> Any:
    """Part sizes that were guessed (tokens sent to each expert) and do not add up are made even."""
    args, kwargs = recorder.resolve(args), recorder.resolve(kwargs)
    tensor, sizes, *rest = (
        args
        if len(args) > 1
        else (*args, kwargs.pop("split_size_or_sections", None) or kwargs.pop("split_sizes", None))
    )
    dim = rest[0] if rest else kwargs.get("dim", 0)
    whole = tensor.shape[dim] if isinstance(tensor, torch.Tensor) and isinstance(dim, int) and tensor.dim() else 0
    listed = isinstance(sizes, list | tuple) and len(sizes) > 0 and all(isinstance(s, int) for s in sizes)
    if listed and recorder.guesses.given and sum(sizes) != whole:
        sizes = [whole // len(sizes) + (i < whole % len(sizes)) for i in range(len(sizes))]
        recorder.tape.event("guess", "the sizes of a split were guessed and made even", site(3))
    return recorder.operator(call, func, (tensor, sizes, *rest), kwargs)


HANDLERS: dict[str, Any] = {
    "torch.Tensor.__bool__": _truth,
    "torch.is_nonzero": _truth,
    "torch.Tensor.is_nonzero": _truth,
    "torch.equal": _verdict,
    "torch.Tensor.equal": _verdict,
    "torch.allclose": _verdict,
    "torch.Tensor.allclose": _verdict,
    "torch.Tensor.item": _number(object),
    "torch.Tensor.__int__": _number(int),
    "torch.Tensor.__index__": _number(int),
    "torch.Tensor.__float__": _number(float),
    "torch.Tensor.__complex__": _number(complex),
    "aten._local_scalar_dense": _number(object),
    "aten.item": _number(object),
    "aten.is_nonzero": _truth,
    "aten.equal": _verdict,
    "torch.Tensor.tolist": _numbers,
    "torch.Tensor.numpy": _numbers,
    "torch.Tensor.__array__": _numbers,
    "torchvision.nms": _suppressed,
    "torch.functional.split": _split,
    "torch.Tensor.split": _split,
    "torch.Tensor.split_with_sizes": _split,
    "torch.split_with_sizes": _split,
    "torch.Tensor.__getitem__": _getitem,
    "torch.Tensor.__setitem__": _getitem,
}
"""Native name -> handler."""


def _maker(recorder: Recorder, tensor: torch.Tensor) -> str:
    """The native name of the operator that made a tensor."""
    known = recorder.tape.known(tensor)
    if known is None or known.value is None:
        return ""
    producer = recorder.tape.graph.values[known.value].producer
    return "" if producer is None else recorder.tape.graph.nodes[producer].native
