"""Numbers come back from the ledger as they were written, in any order of writing and over several blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from initadvisor.probe.ledger import BLOCK, Ledger


@pytest.mark.parametrize("size", [1, 7, BLOCK // 3, BLOCK, BLOCK + 5])
def test_what_is_put_is_read(size: int) -> None:
    ledger = Ledger()
    pieces = [(torch.randn(size), torch.randn(2, 3)) for _ in range(5)]
    entries = [ledger.put([*pair]) for pair in pieces]
    for pair, entry in zip(pieces, entries, strict=True):
        expected = np.concatenate([p.double().numpy().ravel() for p in pair])
        assert np.array_equal(ledger.read(entry), expected)


def test_what_is_written_later_does_not_reach_its_neighbours() -> None:
    ledger = Ledger()
    first, room, last = ledger.put([torch.ones(2)]), ledger.reserve(2, torch.device("cpu")), ledger.put([torch.ones(2)])
    ledger.at(room)[:1].fill_(5.0)
    assert ledger.read(first).tolist() == ledger.read(last).tolist() == [1.0, 1.0]
    assert ledger.read(room)[0] == 5.0
    assert np.isnan(ledger.read(room)[1])
