"""The processes that probe one model together: what each saw is summed, and every one goes on with the same numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count as count_from_zero
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from initadvisor.errors import TargetCodeError, UnsupportedError, UsageError
from initadvisor.frontends.torch_module import unwrap
from initadvisor.probe.shards import is_sharded

_Found = TypeVar("_Found")

_RUNS = count_from_zero()
"""Numbers of the runs of this process on several ranks: they keep the answers of one run from those of the next."""

BUCKET = 25 << 20
"""Bytes of gradients that travel together."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """A process group, or this process alone.

    sharded: parameters lie in shards that the model itself gathers, and whose gradients it averages; else each rank
    holds a whole copy, and the gradients are averaged here.
    """

    count: int = 1
    rank: int = 0
    group: Any = None
    sharded: bool = False
    run: int = 0
    _turns: Iterator[int] = field(default_factory=count_from_zero, compare=False)

    @property
    def alone(self) -> bool:
        """Whether nobody else takes part."""
        return self.count == 1

    def sum(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The sums over the ranks, in float64, by one collective; shapes are the same on every rank."""
        return self._reduced(tensors, dist.ReduceOp.SUM)

    def largest(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The largest values over the ranks, NaN where one of them is NaN; by one collective."""
        bad = [torch.isnan(t) for t in tensors]
        clean = [torch.where(b, torch.zeros_like(t), t) for b, t in zip(bad, tensors, strict=True)]
        found = self._reduced([*clean, *bad], dist.ReduceOp.MAX)
        pairs = zip(found[: len(bad)], found[len(bad) :], strict=True)
        return [torch.where(b > 0, torch.full_like(value, float("nan")), value) for value, b in pairs]

    def _reduced(self, tensors: Sequence[torch.Tensor], operation: Any) -> list[torch.Tensor]:
        if self.alone or not tensors:
            return [t.double() for t in tensors]
        flat = torch.cat([t.detach().reshape(-1).to(self.device(tensors), torch.float64) for t in tensors])
        dist.all_reduce(flat, operation, group=self.group)
        parts = flat.split([t.numel() for t in tensors])
        return [part.reshape(t.shape) for part, t in zip(parts, tensors, strict=True)]

    def device(self, tensors: Iterable[torch.Tensor] = ()) -> torch.device:
        """Where tensors lie while they travel."""
        if "nccl" in dist.get_backend(self.group):
            return torch.device("cuda", torch.cuda.current_device())
        return next((t.device for t in tensors), torch.device("cpu"))

    def gathered(self, value: _Found) -> list[_Found]:
        """What each rank gave, a picklable object, in the order of the ranks."""
        if self.alone:
            return [value]
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, value, group=self.group)
        return found

    def first(self, value: _Found | None) -> _Found | None:
        """What the first rank gave that has something."""
        return next((found for found in self.gathered(value) if found is not None), None)

    def agreed(self, failed: str, seconds: float) -> list[str]:
        """What failed on each rank, "" for nothing: told by the group's store, since a collective would not be met."""
        store = dist.distributed_c10d._get_default_store()
        turn = next(self._turns)
        names = [f"initadvisor/{self.run}/{turn}/{rank}" for rank in range(self.count)]
        store.set(names[self.rank], failed or " ")
        try:
            store.wait(names, timedelta(seconds=seconds))
        except Exception as error:
            raise TargetCodeError(
                f"a rank did not answer within {seconds:g} s", hint="call probe on every rank, with the same arguments"
            ) from error
        return [store.get(name).decode().strip() for name in names]

    @contextlib.contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """Have a collective that a rank does not come to end after some seconds: on gloo, whose wait is harmless."""
        if self.alone or dist.get_backend(self.group) != "gloo":
            yield
            return
        # torch 2.15 made it public, and tells so on every call of the older name.
        change = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout
        backend = self.group._get_backend(torch.device("cpu"))
        before = getattr(getattr(backend, "options", None), "_timeout", None) or dist.default_pg_timeout
        change(min(before, timedelta(seconds=seconds)), self.group)
        try:
            yield
        finally:
            change(before, self.group)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Average the gradients of whole copies; a rank without one counts as zeros, as where one is not reached."""
        if self.alone or self.sharded:
            return
        held = list(parameters)
        there = self.sum([torch.tensor([float(p.grad is not None) for p in held])])[0].tolist()
        bucket: list[torch.Tensor] = []
        for parameter, count in zip(held, there, strict=True):
            if not count:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            elif parameter.grad.layout != torch.strided:
                parameter.grad = parameter.grad.to_dense()
            if bucket and (
                bucket[0].dtype != parameter.grad.dtype or sum(t.numel() * t.element_size() for t in bucket) > BUCKET
            ):
                self._average(bucket)
                bucket = []
            bucket.append(parameter.grad)
        if bucket:
            self._average(bucket)

    def _average(self, bucket: list[torch.Tensor]) -> None:
        flat = torch.cat([t.reshape(-1) for t in bucket])
        dist.all_reduce(flat, group=self.group)
        flat /= self.count
        for tensor, part in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
            tensor.copy_(part.view_as(tensor))


ALONE = Ranks()


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another rank did not come along to a collective."""
    words = ("gloo", "NCCL", "Connection closed by peer", "Timed out")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def ranks_of(module: torch.nn.Module, replicated: bool = False) -> Ranks:
    """Who probes a module together: those who hold its shards (FSDP2), or its copies (DistributedDataParallel).

    replicated: take a plain module as a copy that every rank of the default group has. A plain module is otherwise
    this process's own business, also where a process group is there.
    Raises UnsupportedError for shards that are no data parallelism, UsageError where a group is missing.
    """
    if not dist.is_available() or not dist.is_initialized():
        return ALONE
    shards = [p for p in unwrap(module).parameters() if is_sharded(p)]
    if shards:
        group, sharded = _group_of(module, shards), True
    elif (found := _wrapper_group(module)) is not None:
        group, sharded = found, False
    elif replicated:
        group, sharded = dist.group.WORLD, False
    else:
        return ALONE
    rank = dist.get_rank(group)
    if rank < 0:
        raise UsageError("this process is not in the process group of the model", hint="probe on the ranks that are")
    count = dist.get_world_size(group)
    return ALONE if count == 1 else Ranks(count, rank, group, sharded, next(_RUNS))


def _group_of(module: torch.nn.Module, shards: Sequence[Any]) -> Any:
    from torch.distributed.fsdp import FSDPModule

    meshes = {p.device_mesh for p in shards}
    split = any(sum(placement.is_shard() for placement in p.placements) > 1 for p in shards)
    if len(meshes) > 1 or split or not any(isinstance(m, FSDPModule) for m in module.modules()):
        raise UnsupportedError(
            "the model is sharded by more than fully_shard on one mesh, and its ranks do not see different samples",
            hint="tensor and pipeline parallel models are probed before they are split, on a smaller copy",
        )
    mesh = next(iter(meshes))
    if mesh.ndim == 1:
        return mesh.get_group()
    if mesh.size() == dist.get_world_size():
        return dist.group.WORLD
    raise UnsupportedError(
        f"the mesh {tuple(mesh.shape)} does not cover the {dist.get_world_size()} ranks of the process group"
    )


def _wrapper_group(module: torch.nn.Module) -> Any:
    while True:
        if isinstance(module, torch.nn.parallel.DistributedDataParallel):
            return module.process_group
        inner = unwrap(module) if hasattr(module, "_orig_mod") else None
        if inner is None:
            return None
        module = inner
