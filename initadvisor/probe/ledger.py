"""Small results that stay on their device until the end of a run, in few blocks.

As tensors of their own they would lie scattered between the activations of a step, and an allocator could not join
the room that those leave: the peak of a run would grow from step to step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

BLOCK = 1 << 16
"""Numbers of one block."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where some numbers lie: a block, the first number and one past the last."""

    block: int
    start: int
    stop: int


@dataclass(slots=True)
class Ledger:
    """Writes float32 numbers in sequence; NaN where nothing has been written. `read` waits for the device, once."""

    _blocks: list[torch.Tensor] = field(default_factory=list)
    _open: dict[torch.device, tuple[int, int]] = field(default_factory=dict)
    _read: dict[int, np.ndarray] = field(default_factory=dict)

    def reserve(self, size: int, device: torch.device) -> Entry:
        """Room for some numbers on a device."""
        block, start = self._open.get(device, (-1, 0))
        if block < 0 or start + size > self._blocks[block].numel():
            self._blocks.append(torch.full((max(BLOCK, size),), float("nan"), device=device))
            block, start = len(self._blocks) - 1, 0
        self._open[device] = (block, start + size)
        return Entry(block, start, start + size)

    def at(self, entry: Entry) -> torch.Tensor:
        """The numbers of an entry on their device, to be written."""
        return self._blocks[entry.block][entry.start : entry.stop]

    def put(self, pieces: Sequence[torch.Tensor]) -> Entry:
        """Write tensors of one device one behind the other."""
        entry = self.reserve(sum(p.numel() for p in pieces), pieces[0].device)
        torch.cat([p.reshape(-1) for p in pieces], out=self.at(entry))
        return entry

    def read(self, entry: Entry) -> np.ndarray:
        """The numbers of an entry in float64; nothing may be written into its block afterwards."""
        if entry.block not in self._read:
            self._read[entry.block] = self._blocks[entry.block].cpu().double().numpy()
        return self._read[entry.block][entry.start : entry.stop]
