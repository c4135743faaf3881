"""The first batch is the one that the loader would give, and the loader does not notice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, TensorDataset

from initadvisor.errors import UsageError
from initadvisor.integrations.first_batch import first_batch

DATA = TensorDataset(torch.arange(40.0).reshape(20, 2), torch.arange(20))


def shuffled(**options: object) -> DataLoader[object]:
    return DataLoader(DATA, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(2), **options)


class Stream(IterableDataset[torch.Tensor]):
    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.arange(10.0))


class File(IterableDataset[torch.Tensor]):
    """Reads on where it stopped, as an open file does."""

    def __iter__(self) -> File:
        return self

    def __next__(self) -> torch.Tensor:
        return torch.zeros(1)


def loaders() -> dict[str, DataLoader[object]]:
    sampler = RandomSampler(DATA, generator=torch.Generator().manual_seed(4))
    return {
        "shuffled": shuffled(),
        "one by one": DataLoader(DATA, batch_size=None),
        "own sampler": DataLoader(DATA, batch_sampler=BatchSampler(sampler, 3, drop_last=False)),
        "stream": DataLoader(Stream(), batch_size=4),
    }


@pytest.mark.parametrize("kind", loaders())
def test_it_is_the_first_batch_and_stays_the_first(kind: str) -> None:
    fresh = [batch for batch, _ in zip(loaders()[kind], range(3), strict=False)]
    loader = loaders()[kind]
    peeked = first_batch(loader)
    after = [batch for batch, _ in zip(loader, range(3), strict=False)]
    assert _same(after, fresh), "what comes is what would have come"
    if kind != "shuffled":  # an epoch's iterator draws a seed for its workers first
        assert _same(peeked, fresh[0])
    assert _shapes(peeked) == _shapes(fresh[0])


def test_no_worker_starts_and_generators_stay_where_they_are() -> None:
    loader = shuffled(num_workers=2, persistent_workers=True)
    before = loader.generator.get_state()
    first_batch(loader)
    assert torch.equal(loader.generator.get_state(), before)
    assert loader._iterator is None


def test_what_could_not_be_given_back_is_not_taken() -> None:
    with pytest.raises(UsageError, match="would be missing"):
        first_batch(DataLoader(File(), batch_size=2))
    with pytest.raises(UsageError, match="would be missing"):
        first_batch(iter([1, 2]))
    with pytest.raises(UsageError, match="no batch"):
        first_batch([])
    assert first_batch([torch.ones(2)]).sum() == 2


def _same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    return all(_same(x, y) for x, y in zip(a, b, strict=True))  # type: ignore[call-overload]


def _shapes(batch: object) -> object:
    return batch.shape if isinstance(batch, torch.Tensor) else [_shapes(one) for one in batch]  # type: ignore[attr-defined]
