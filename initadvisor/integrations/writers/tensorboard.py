"""TensorBoard: scalars, histograms and texts in an event file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from initadvisor.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np


class TensorBoardWriter:
    """Writes through a `SummaryWriter`, or into a folder; raises MissingExtraError without tensorboard."""

    def __init__(self, target: Any = None) -> None:
        """target: a SummaryWriter, a folder, or None for torch's default folder under "runs"."""
        if target is not None and not isinstance(target, str | os.PathLike):
            self.writer = target
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("writing for TensorBoard", package="torch tensorboard") from error
        self.writer = SummaryWriter(target)  # type: ignore[no-untyped-call]

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """One scalar for each name."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def histogram(self, name: str, values: np.ndarray, step: int) -> None:
        """A histogram."""
        self.writer.add_histogram(name, values, step)

    def text(self, name: str, text: str, step: int) -> None:
        """Text as a block of code, so that names in it are not read as markup."""
        self.writer.add_text(name, "".join(f"    {line}\n" for line in text.splitlines()), step)

    def close(self) -> None:
        """Write everything out."""
        self.writer.close()
