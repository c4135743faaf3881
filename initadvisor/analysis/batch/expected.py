"""A batch of images against the preprocessing that pretrained weights were trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from initadvisor.analysis.facts.data import ExpectedFacts
from initadvisor.errors import UsageError

_VALUES = 200_000
_TOLERANCE = 0.02
"""Of a level: float32 rounding of a normalised byte stays under 1e-4 of one, bfloat16 does not and counts as off."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How images were normalised: (x / 255 - mean) / std for each channel, and the side they were cropped to."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int | None = None
    weights: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Preprocessing:
        """Read {"mean": ..., "std": ..., "side": ..., "weights": ...}; raises UsageError where it makes no sense."""
        try:
            mean, std = (tuple(float(value) for value in settings[key]) for key in ("mean", "std"))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                "a preprocessing needs a mean and a std for each channel", hint='{"mean": (...), "std": (...)}'
            ) from error
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise UsageError("mean and std of a preprocessing have one entry a channel, and std is above 0")
        return cls(mean, std, settings.get("side"), str(settings.get("weights", "")))


def expected_facts(images: np.ndarray, preprocessing: Preprocessing) -> ExpectedFacts | None:
    """images: channels first, (samples, channels, height, width). None where the channels are of another number."""
    channels = len(preprocessing.mean)
    if images.shape[1] != channels:
        return None
    columns = _columns(images)
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    low, high = -mean / std, (1 - mean) / std
    slack = 0.01 * (high - low)
    undone = columns * std + mean
    back = columns * std[::-1] + mean[::-1]
    side = preprocessing.side
    return ExpectedFacts(
        weights=preprocessing.weights or None,
        outside=float(np.mean((columns < low - slack) | (columns > high + slack))),
        offset=float(np.abs(columns.mean(0)).max()),
        scale=float(columns.std()),
        on_grid=_on_levels(undone * 255),
        on_grid_reversed=_on_levels(back * 255),
        on_grid_as_bytes=max(_on_levels(columns * 255), _on_levels(columns)),
        side_ratio=min(images.shape[2:]) / side if side else None,
    )


def _columns(images: np.ndarray) -> np.ndarray:
    """(places, channels), float64, of an even sample of the images' places."""
    flat = np.moveaxis(images, 1, -1).reshape(-1, images.shape[1])
    step = max(1, len(flat) * images.shape[1] // _VALUES)
    columns = flat[::step].astype(np.float64)
    return columns[np.isfinite(columns).all(1)]


def _on_levels(values: np.ndarray) -> float:
    """Share of the values that are whole numbers from 0 to 255."""
    nearest = np.round(values)
    return (
        float(np.mean((np.abs(values - nearest) < _TOLERANCE) & (nearest >= 0) & (nearest <= 255)))
        if values.size
        else 0.0
    )
