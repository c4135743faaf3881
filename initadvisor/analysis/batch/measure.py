"""From samples to facts: one subject an input tensor, and one for the labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from initadvisor.analysis.batch.expected import Preprocessing, expected_facts
from initadvisor.analysis.batch.samples import Samples
from initadvisor.analysis.batch.shift import labels_shifted, shifted
from initadvisor.analysis.facts.data import InputFacts, LabelFacts

Kind = Literal["image", "features", "sequence", "tokens"]
_IGNORED = -100
"""The target that torch.nn.functional.cross_entropy leaves out by default."""
_FEATURES_COMPARED = 64
_OF_SCALE = ("mean", "std", "rms", "center", "center_at", "scale_spread")


def batch_facts(
    first: Samples,
    second: Samples | None = None,
    *,
    classes: int | None = None,
    preprocessing: Preprocessing | None = None,
    stored: bool = False,
) -> Iterator[tuple[str, Mapping[str, BaseModel]]]:
    """Yield (name, facts by group) for every input tensor and for the labels.

    second: another set of the same data (validation). classes: of the task, e.g. the width of the model's head.
    preprocessing: that of the pretrained weights the data is meant for. stored: the numbers are as they lie on disk, so
    that nothing is known of how they are scaled on their way into the model.
    """
    for name, array in first.inputs.items():
        other = second.inputs.get(name) if second is not None else None
        facts = _input(array, other, None if stored else preprocessing)
        if stored:
            facts = facts.model_copy(update=dict.fromkeys(_OF_SCALE))
        if first.unreadable:
            update = {"unreadable": len(first.unreadable), "first_unreadable": first.unreadable[0]}
            facts = facts.model_copy(update=update)
        yield name, {"input": facts}
    if first.labels is not None:
        yield "labels", {"labels": _labels(first.labels, second.labels if second is not None else None, classes)}


def kind_of(array: np.ndarray) -> Kind:
    """What the array looks like."""
    if array.dtype.kind in "iu" and array.dtype != np.uint8 and array.ndim <= 2:
        return "tokens"
    if array.ndim == 4 and (array.shape[1] <= 4 or array.shape[-1] <= 4):
        return "image"
    return "features" if array.ndim == 2 else "sequence"


def _channels_first(array: np.ndarray, kind: Kind) -> np.ndarray:
    """(samples, channels, places), float64; a sequence's last axis is its features."""
    if (kind == "image" and array.shape[1] > 4 >= array.shape[-1]) or (kind == "sequence" and array.ndim > 2):
        array = np.moveaxis(array, -1, 1)
    elif array.ndim == 1:
        array = array[:, None]
    return array.reshape(*array.shape[:2], -1).astype(np.float64)


def _input(array: np.ndarray, other: np.ndarray | None, preprocessing: Preprocessing | None) -> InputFacts:
    kind = kind_of(array)
    facts: dict[str, Any] = {"kind": kind, "dtype": str(array.dtype), "samples": len(array)}
    facts["duplicates"] = 1 - len(set(_digests(array))) / len(array)
    if other is not None and other.shape[1:] == array.shape[1:]:
        known = set(_digests(array))
        facts["second_samples"] = len(other)
        facts["overlap"] = sum(digest in known for digest in _digests(other)) / len(other)
    if kind == "tokens":
        return InputFacts(**facts, min=float(array.min()), max=float(array.max()))
    values = _channels_first(array, kind)
    finite = np.isfinite(values)
    facts["non_finite"] = float(1 - finite.mean())
    facts["channels"] = values.shape[1]
    if not finite.all():
        values = np.where(finite, values, np.nan)
    if finite.any():
        facts |= _levels(values) | _by_channel(values)
        if kind == "image":
            facts |= _pictures(values)
    if "second_samples" in facts and other is not None:
        found = shifted(_statistics(values), _statistics(_channels_first(other, kind)))
        if found is not None:
            facts["shift"], facts["shift_p"], facts["shift_at"] = found
    if preprocessing is not None and kind == "image":
        images = array if array.shape[1] <= 4 else np.moveaxis(array, -1, 1)
        facts["expected"] = expected_facts(images, preprocessing)
    return InputFacts(**facts)


def _digests(array: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(array)]


def _levels(values: np.ndarray) -> dict[str, Any]:
    mean, std = float(np.nanmean(values)), float(np.nanstd(values))
    return {
        "mean": mean,
        "std": std,
        "rms": float(np.hypot(mean, std)),
        "min": float(np.nanmin(values)),
        "max": float(np.nanmax(values)),
    }


def _by_channel(values: np.ndarray) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        mean, std = np.nanmean(values, axis=(0, 2)), np.nanstd(values, axis=(0, 2))
    varies = std > 1e-12 * np.maximum(np.abs(mean), 1e-300)
    known = ~np.isnan(std)
    facts: dict[str, Any] = {
        "constant_channels": int((known & ~varies).sum()),
        "constant_share": float((known & ~varies).mean()),
    }
    if (varies & known).any():
        ratio = np.where(varies & known, np.abs(mean) / np.where(varies, std, 1.0), -1.0)
        kept = std[varies & known]
        facts |= {"center": float(ratio.max()), "center_at": int(ratio.argmax())}
        facts["scale_spread"] = float(kept.max() / kept.min())
    return facts


def _pictures(values: np.ndarray) -> dict[str, Any]:
    low, high = np.nanmin(values), np.nanmax(values)
    facts: dict[str, Any] = {}
    if high > low:
        facts["dark_samples"] = float(np.mean((values == low).mean((1, 2)) > 0.25))
        facts["bright_samples"] = float(np.mean((values == high).mean((1, 2)) > 0.25))
    if values.shape[1] >= 3 and high > low:
        means = np.nanmean(values[:, :3], axis=(0, 2))
        away = np.abs(means - means.mean()) / np.nanstd(values[:, :3])
        facts |= {"cast": float(away.max()), "cast_at": int(away.argmax())}
        facts["gray"] = bool(np.array_equal(values[:, 0], values[:, 1]) and np.array_equal(values[:, 1], values[:, 2]))
    return facts


def _statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """One number a sample, by name: each feature itself, or mean and standard deviation of each channel."""
    channels = range(min(values.shape[1], _FEATURES_COMPARED))
    with np.errstate(all="ignore"):
        if values.shape[2] == 1:
            named = {f"feature {c}": values[:, c, 0] for c in channels}
        else:
            named = {f"mean of channel {c}": values[:, c].mean(1) for c in channels}
            named |= {f"std of channel {c}": values[:, c].std(1) for c in channels}
    return {name: column[np.isfinite(column)] for name, column in named.items()}


def _labels(array: np.ndarray, other: np.ndarray | None, classes: int | None) -> LabelFacts:
    whole = array.dtype.kind in "iub"
    flat = array.reshape(len(array), -1) if array.ndim > 1 else array[:, None]
    if not whole:
        values = flat.astype(np.float64)
        finite = np.isfinite(values)
        kept = values[finite]
        spread: dict[str, Any] = {"mean": float(kept.mean()), "std": float(kept.std())} if kept.size else {}
        return LabelFacts(kind="values", samples=len(array), non_finite=float(1 - finite.mean()), **spread)
    labels = flat[flat != _IGNORED].astype(np.int64)
    single = flat.shape[1] == 1
    facts: dict[str, Any] = {
        "kind": "classes" if single else "masks",
        "samples": len(array),
        "non_finite": 0.0,
        "classes": classes,
    }
    if labels.size:
        seen, counts = np.unique(labels, return_counts=True)
        beyond = labels.size - int(
            ((labels >= 0) & (labels < (classes if classes is not None else np.iinfo(np.int64).max))).sum()
        )
        facts |= {
            "seen": len(seen),
            "min": float(seen[0]),
            "max": float(seen[-1]),
            "outside": beyond,
            "imbalance": float(counts.max() / counts.min()),
            "largest_share": float(counts.max() / counts.sum()),
            "gaps": max(0, int(seen[-1]) + 1 - int((seen >= 0).sum())),
        }
        if other is not None and single and other.dtype.kind in "iub" and other.size:
            facts["shift"], facts["shift_p"] = labels_shifted(labels, other[other != _IGNORED].reshape(-1))
    return LabelFacts(**facts)
