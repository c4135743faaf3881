"""The first batch of a data loader, without taking it away from whoever trains on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from initadvisor.errors import UsageError


def first_batch(loader: Any) -> Any:
    """A batch as the loader's first one is made: its samplers, its dataset and its collation, in this process.

    No worker starts, and generators are put back as they were; so are the global ones, by the caller's guard. A
    dataset with a state of its own, such as a file that it reads on, cannot be rewound and is refused.
    Raises UsageError where there is no batch to be had.
    """
    if not isinstance(loader, DataLoader):
        return _first_of(loader, "the training data")
    with _generators_kept(loader):
        if isinstance(loader.dataset, IterableDataset):
            return _of_stream(loader)
        if loader.batch_sampler is None:
            index = _first_of(loader.sampler, "the sampler")
            return loader.collate_fn(loader.dataset[index])
        indices = list(_first_of(loader.batch_sampler, "the sampler"))
        fetch = getattr(loader.dataset, "__getitems__", None)
        samples = fetch(indices) if callable(fetch) else [loader.dataset[i] for i in indices]
        return loader.collate_fn(samples)


def _of_stream(loader: DataLoader[Any]) -> Any:
    samples = iter(loader.dataset)  # type: ignore[call-overload]
    if samples is loader.dataset:
        raise UsageError("the training data is an iterator, and what is taken from it would be missing")
    if loader.batch_size is None:
        return loader.collate_fn(_first_of(samples, "the training data"))
    taken = list(itertools.islice(samples, loader.batch_size))
    if not taken:
        raise UsageError("the training data gave no sample")
    return loader.collate_fn(taken)


def _first_of(source: Any, what: str) -> Any:
    items = iter(source)
    if items is source:
        raise UsageError(f"{what} is an iterator, and what is taken from it would be missing")
    try:
        return next(items)
    except StopIteration:
        raise UsageError(f"{what} gave no batch") from None


@contextmanager
def _generators_kept(loader: DataLoader[Any]) -> Iterator[None]:
    """Put the generators of a loader and its samplers back: shuffling draws from them."""
    found: dict[int, torch.Generator] = {}
    holders: list[Any] = [loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)]
    for holder in holders:
        for inner in ("sampler", "batch_sampler"):
            nested = getattr(holder, inner, None)
            if nested is not None and all(nested is not known for known in holders) and len(holders) < 16:
                holders.append(nested)
        generator = getattr(holder, "generator", None)
        if isinstance(generator, torch.Generator):
            found[id(generator)] = generator
    states = [(generator, generator.get_state()) for generator in found.values()]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)
