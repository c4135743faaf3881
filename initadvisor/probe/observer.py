"""Watching a forward and a backward pass: statistics of each site's output, and of the gradient that comes back to it.

Outputs are caught by forward hooks, gradients by hooks on those tensors: module backward hooks break where a function
behind works in place. Nothing waits for the device before `collect`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from initadvisor.frontends.torch_module.trees import leaves
from initadvisor.probe.ledger import Entry, Ledger
from initadvisor.probe.sample import STATISTICS, layout, sample_grams, statistics, token_remainder
from initadvisor.probe.site import Site

MAX_CALLS = 2
"""Calls of one module within a forward pass that are measured: the first ones, and always the last."""

_NORMS = (
    torch.nn.modules.batchnorm._BatchNorm,
    torch.nn.modules.instancenorm._InstanceNorm,
    torch.nn.GroupNorm,
)
_CONVOLUTIONS = (torch.nn.modules.conv._ConvNd,)


@dataclass(slots=True)
class Output:
    """What one call of a module gave; its numbers are in the ledger, in the order that `_measured` writes them.

    samples: rows of the products between samples, 0 without them. gradient: whether one came back.
    """

    site: int
    observations: int
    entry: Entry
    samples: int = 0
    tokens: bool = False
    gradient: bool = False
    elements: int = 0
    sample: torch.Tensor | None = None
    """What the numbers are made of, where those of other ranks come to it first."""
    features_last: bool = False


@dataclass(slots=True)
class Pass:
    """What was seen in one step; `outputs` by site in order of calls."""

    outputs: list[Output] = field(default_factory=list)
    calls: Counter[int] = field(default_factory=Counter)
    order: list[int] = field(default_factory=list)


class Observer:
    """Hooks on the modules of the sites; `passes` holds one record a step."""

    def __init__(self, module: torch.nn.Module, sites: Sequence[Site], keep: bool = False) -> None:
        """keep: hold the samples, for numbers that are made of those of all ranks."""
        self.sites = sites
        self._keep = keep
        self.passes: list[Pass] = []
        self.ledger = Ledger()
        self.ran: set[str] = set()
        self.norm_batches: dict[int, tuple[int, int]] = {}
        """Site of a batch or instance norm -> (samples, values per channel) of its last input."""
        self.last = ""
        """Path of the module with parameters that began to run last."""
        self._active = False
        self._module = module
        self._handles: list[Any] = []

    def __enter__(self) -> Observer:
        """Put the hooks on."""
        by_path: dict[str, list[int]] = {}
        for index, site in enumerate(self.sites):
            by_path.setdefault(site.module, []).append(index)
        for path, part in self._module.named_modules():
            if any(p is not None for p in part._parameters.values()):
                self._handles.append(part.register_forward_pre_hook(partial(self._runs, path)))
            if path not in by_path:
                continue
            place = by_path[path][0]
            axis = 1 if isinstance(part, (*_CONVOLUTIONS, *_NORMS)) else -1
            recurrent = isinstance(part, torch.nn.RNNBase) and not part.batch_first
            if isinstance(part, _NORMS[:2]):
                self._handles.append(part.register_forward_pre_hook(partial(self._norm_input, place)))
            self._handles.append(part.register_forward_hook(partial(self._output, place, axis, recurrent)))
        return self

    def __exit__(self, *_: Any) -> None:
        """Take them off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def forward(self, module: torch.nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run a forward pass and record it; what runs later (recomputation in a backward pass) is not."""
        self.passes.append(Pass())
        self._active = True
        try:
            return module(*args, **kwargs)
        finally:
            self._active = False

    def running(self, own: bool) -> str:
        """The path of the module that computes attention: the one that began last, or the one that it belongs to."""
        return self.last if own else self.last.rpartition(".")[0]

    def _runs(self, path: str, module: torch.nn.Module, args: Any) -> None:
        self.ran.add(path)
        self.last = path

    def _norm_input(self, site: int, module: torch.nn.Module, args: Any) -> None:
        if args and isinstance(args[0], torch.Tensor) and args[0].ndim >= 2:
            shape = args[0].shape
            per_sample = shape[2:].numel() if args[0].ndim > 2 else 1
            pooled = not isinstance(module, _NORMS[1])
            self.norm_batches[site] = (int(shape[0]), int(per_sample * (shape[0] if pooled else 1)))

    def _output(self, site: int, axis: int, turned: bool, module: torch.nn.Module, args: Any, result: Any) -> None:
        if not self._active:
            return
        record = self.passes[-1]
        tensor = next((t for t in leaves(result) if t.is_floating_point()), None)
        if tensor is None or tensor.layout != torch.strided or tensor.numel() == 0:
            return
        record.calls[site] += 1
        if record.calls[site] == 1:
            record.order.append(site)
        if record.calls[site] > MAX_CALLS:
            # The last call takes the place of the one measured before it.
            record.outputs = [o for o in record.outputs if o.site != site or o is self._first(record, site)]
        with torch.no_grad():
            output = self._measured(site, axis, turned, tensor.detach(), first=record.calls[site] == 1)
        if output is None:
            return
        record.outputs.append(output)
        if tensor.requires_grad:
            output.elements = tensor.numel()
            tensor.register_hook(partial(self._gradient, output))

    @staticmethod
    def _first(record: Pass, site: int) -> Output | None:
        return next((o for o in record.outputs if o.site == site), None)

    def _measured(self, site: int, axis: int, turned: bool, tensor: torch.Tensor, first: bool) -> Output | None:
        # A sum tells NaN and infinities of the whole output at the price of reading it once.
        total = tensor.sum(dtype=torch.float32)
        sample = layout(tensor.transpose(0, 1) if turned and tensor.ndim == 3 else tensor, axis)
        if sample is None:
            return None
        # The first number is the gradient's norm, which comes later.
        pieces = [total.new_full((1,), float("nan")), total.reshape(1)]
        if self._keep:
            return Output(site, 0, self.ledger.put(pieces), sample=sample.clone(), features_last=axis == -1)
        samples = sample.shape[0] if first and sample.shape[0] > 1 else 0
        tokens = first and axis == -1 and sample.shape[2] > 3
        pieces.append(statistics(sample, self.sites[site].activation))
        if tokens:
            pieces.append(token_remainder(sample))
        if samples:
            pieces.append(sample_grams(sample))
        return Output(site, sample.shape[0] * sample.shape[2], self.ledger.put(pieces), samples, tokens)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _gradient(self, output: Output, gradient: torch.Tensor) -> None:
        output.gradient = True
        norm = torch.linalg.vector_norm(gradient.detach(), dtype=torch.float32)
        self.ledger.at(output.entry)[:1].copy_(norm)


@dataclass(slots=True)
class Seen:
    """One call of one site in one step, as plain numbers; NaN stands for what was not measured."""

    site: int
    call: int
    observations: int
    values: dict[str, float]
    finite: bool
    grams: np.ndarray | None
    tokens: float | None
    gradient_norm: float | None
    elements: int

    @property
    def rms(self) -> float:
        """Root mean square of the output."""
        return self.values["absmax"] * math.sqrt(self.values["second"])


def collect(observer: Observer) -> list[list[Seen]]:
    """Read everything from the device, once; one list a step, in the order of the forward pass."""
    return [_read(one, observer.ledger) for one in observer.passes]


def _read(record: Pass, ledger: Ledger) -> list[Seen]:
    seen, calls = [], Counter[int]()
    for output in record.outputs:
        calls[output.site] += 1
        gradient, total, *rest = ledger.read(output.entry)
        products = rest[len(rest) - 2 * output.samples**2 :]
        seen.append(
            Seen(
                site=output.site,
                call=calls[output.site] - 1,
                observations=output.observations,
                values=dict(zip(STATISTICS, map(float, rest[: len(STATISTICS)]), strict=True)),
                finite=bool(np.isfinite(total)),
                grams=np.array(products).reshape(2, output.samples, output.samples) if output.samples else None,
                tokens=float(rest[len(STATISTICS)]) if output.tokens else None,
                gradient_norm=float(gradient) if output.gradient else None,
                elements=output.elements,
            )
        )
    return seen
