"""Resize and Upsample by ONNX's coordinate rules, as one weighted gather an axis; torch's own kernels cover few.

Every mode is separable: along each axis a result is a weighted sum of a few elements, so an axis at a time is resized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.registry import Call, implements, numbers


@implements("Upsample")
def upsample(call: Call, x: Any, scales: Any = None) -> Any:
    """Resize of old operator sets: asymmetric coordinates, floor for the nearest."""
    factors = call.attr("scales") if scales is None else numbers(scales)
    if factors is None:  # version 1
        factors = (1.0, 1.0, call.attr("height_scale"), call.attr("width_scale"))
    sizes = [math.floor(size * factor) for size, factor in zip(x.shape, factors, strict=True)]
    mode = "nearest" if call.attr("mode", "nearest") == "nearest" else "linear"
    rule = _Rule(mode, "asymmetric", "floor", -0.75, False, False, 0.0)
    call.allow(sizes, x.element_size())
    for axis, (size, factor) in enumerate(zip(sizes, factors, strict=True)):
        if size != x.shape[axis]:
            x = rule.resized(call, x, axis, size, factor, None)
    return x


@implements("Resize")
def resize(call: Call, x: Any, *inputs: Any) -> Any:
    """To sizes or by scales, along some axes or all."""
    roi, scales, sizes = (None, *inputs, None, None)[:3] if call.opset < 11 else (*inputs, None, None, None)[:3]
    axes = [axis % x.dim() for axis in call.attr("axes") or range(x.dim())]
    factors: list[float]
    if sizes is not None and sizes.numel():
        targets = [int(n) for n in numbers(sizes)]
        factors = [target / x.shape[axis] for target, axis in zip(targets, axes, strict=True)]
        policy = call.attr("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            one = min(factors) if policy == "not_larger" else max(factors)
            factors = [one] * len(axes)
            targets = [math.floor(x.shape[axis] * one + 0.5) for axis in axes]
    else:
        factors = [float(f) for f in numbers(scales)]
        targets = [math.floor(x.shape[axis] * f) for axis, f in zip(axes, factors, strict=True)]
    whole = list(x.shape)
    for axis, target in zip(axes, targets, strict=True):
        whole[axis] = target
    call.allow(whole, x.element_size())
    rule = _Rule(
        call.attr("mode", "nearest"),
        call.attr("coordinate_transformation_mode", "half_pixel" if call.opset >= 11 else "asymmetric"),
        call.attr("nearest_mode", "round_prefer_floor" if call.opset >= 11 else "floor"),
        call.attr("cubic_coeff_a", -0.75),
        bool(call.attr("exclude_outside", 0)),
        bool(call.attr("antialias", 0)),
        call.attr("extrapolation_value", 0.0),
    )
    fast = rule.kernel(x, axes, targets, factors)
    if fast is not None:
        return fast
    corners = None if roi is None or not roi.numel() else numbers(roi)
    outside: list[tuple[int, Any]] = []
    for at, (axis, target, factor) in enumerate(zip(axes, targets, factors, strict=True)):
        crop = None if corners is None else (corners[at], corners[at + len(axes)])
        cropping = rule.transform == "tf_crop_and_resize" and crop is not None
        if target != x.shape[axis] or factor != 1 or cropping:
            if cropping:
                places = rule.coordinates(x.shape[axis], target, factor, crop)
                outside.append((axis, (places < 0) | (places > x.shape[axis] - 1)))
            x = rule.resized(call, x, axis, target, factor, crop)
    for axis, beyond in outside:
        shape = [1] * x.dim()
        shape[axis] = -1
        x = torch.where(beyond.to(x.device).reshape(shape), torch.full_like(x, rule.extrapolation), x)
    return x


Crop = tuple[float, float] | None
"""The part of an axis that is resized, as shares of it."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a place in the result is one in the input, and which elements around that place count how much."""

    mode: str
    transform: str
    nearest: str
    cubic: float
    exclude: bool
    antialias: bool
    extrapolation: float

    def kernel(self, x: Any, axes: list[int], targets: list[int], factors: list[float]) -> Any | None:
        """torch's kernel where it computes the same: images resized linearly by half pixels."""
        changed = [a for a, target in zip(axes, targets, strict=True) if target != x.shape[a]]
        plain = self.mode == "linear" and self.transform == "half_pixel" and not self.antialias
        if not plain or x.dim() != 4 or not x.is_floating_point() or any(a < 2 for a in changed):
            return None
        for axis, target, factor in zip(axes, targets, factors, strict=True):
            if abs(target / x.shape[axis] - factor) > 1e-9:
                return None
        sizes = dict(zip(axes, targets, strict=True))
        return F.interpolate(x, (sizes.get(2, x.shape[2]), sizes.get(3, x.shape[3])), mode="bilinear")

    def coordinates(self, size: int, target: int, factor: float, crop: Crop) -> Any:
        """Where each element of the result lies in the input."""
        at = torch.arange(target, dtype=torch.float64)
        length = factor * size
        if self.transform == "asymmetric":
            return at / factor
        if self.transform == "align_corners":
            return at * (size - 1) / (length - 1) if length != 1 else torch.zeros_like(at)
        if self.transform == "tf_crop_and_resize":
            start, end = crop or (0.0, 1.0)
            if target == 1:
                return torch.full_like(at, 0.5 * (start + end) * (size - 1))
            return start * (size - 1) + at * (end - start) * (size - 1) / (target - 1)
        if self.transform == "pytorch_half_pixel" and target == 1:
            return torch.zeros_like(at) - 0.0
        if self.transform == "half_pixel_symmetric":
            adjustment = target / length
            return size / 2 * (1 - adjustment) + (at + 0.5) / factor - 0.5
        if self.transform == "tf_half_pixel_for_nn":
            return (at + 0.5) / factor
        if self.transform in ("half_pixel", "pytorch_half_pixel"):
            return (at + 0.5) / factor - 0.5
        raise FormatError(f"resizing by coordinates {self.transform!r}, which ONNX does not define")

    def resized(self, call: Call, x: Any, axis: int, target: int, factor: float, crop: Crop) -> Any:
        """The tensor with one axis resized."""
        size = x.shape[axis]
        places, weights = self._neighbours(size, target, factor, crop)
        places = places.clamp(0, max(size - 1, 0)).to(x.device)
        if weights is None:
            return x.index_select(axis, places[:, 0])
        kind = x.dtype if x.is_floating_point() else torch.float64
        call.allow((target, size), 8)
        table = torch.zeros((target, size), dtype=torch.float64)
        table.scatter_add_(1, places.cpu(), weights)
        mixed = torch.tensordot(x.to(kind), table.to(device=x.device, dtype=kind), dims=([axis], [1]))
        return mixed.movedim(-1, axis).to(x.dtype)

    def _neighbours(self, size: int, target: int, factor: float, crop: Crop) -> tuple[Any, Any | None]:
        places = self.coordinates(size, target, factor, crop)
        if self.mode == "nearest":
            return _ROUND[self.nearest](places).to(torch.int64).unsqueeze(1), None
        shrink = min(factor, 1.0) if self.antialias else 1.0
        reach = 2 if self.mode == "cubic" else 1
        radius = math.ceil(reach / shrink)
        first = torch.floor(places).to(torch.int64)
        taps = first.unsqueeze(1) + torch.arange(1 - radius, radius + 1)
        distance = (places.unsqueeze(1) - taps).abs() * shrink
        weights = self._cubic(distance) if self.mode == "cubic" else torch.clamp(1 - distance, min=0)
        if self.exclude:
            weights = torch.where((taps < 0) | (taps >= size), torch.zeros_like(weights), weights)
        if self.exclude or self.antialias:
            weights = weights / weights.sum(1, keepdim=True)
        return taps, weights

    def _cubic(self, distance: Any) -> Any:
        a = self.cubic
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((distance - 5) * distance + 8) * distance * a - 4 * a
        return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))


_ROUND = {
    "round_prefer_floor": lambda x: torch.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: torch.floor(x + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}


@implements("GridSample")
def grid_sample(call: Call, x: Any, grid: Any) -> Any:
    """Samples at places of a grid (arXiv 1506.02025), over two or three axes."""
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(call.attr("mode", "linear"), call.attr("mode", "linear"))
    call.allow((*x.shape[:2], *grid.shape[1:-1]), x.element_size())
    padding = call.attr("padding_mode", "zeros")
    return F.grid_sample(x, grid, mode, padding, bool(call.attr("align_corners", 0)))
