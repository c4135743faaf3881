"""`initadvisor.attribute`: what a start looks at, as maps by layer and as one number."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from initadvisor.errors import MissingExtraError, UsageError
from initadvisor.report.escape import visible
from initadvisor.report.svg import LIGHT, STYLE
from initadvisor.report.svg.heatmap import heatmap, png

if TYPE_CHECKING:
    import torch

    from initadvisor.probe.relevance import RelevanceMap

BORDER = 0.125
"""Width of the border on each side, as a share of it: about 44% of the area of an image."""


@dataclass(frozen=True)
class Attribution:
    """What a model's answers on a batch rest on.

    method: "gradient" or "lrp". targets: the class that was asked about, one a sample. region: "mask" or "border".
    area: share of the image inside the region. share: share of the input's relevance inside it; a model that looks at
    the background has far more than `area`, one that looks at the object far less; NaN where nothing is relevant at
    all. by_layer: the same at each layer, in order. maps: (samples, height, width) by layer, "" for the input.
    """

    method: str
    targets: tuple[int, ...]
    region: Literal["mask", "border"]
    area: float
    share: float
    by_layer: dict[str, float]
    maps: dict[str, np.ndarray]

    def to_svg(self, layer: str = "", sample: int = 0) -> str:
        """One map as an SVG that stands alone; raises UsageError where there is no such layer or sample."""
        return heatmap(self._map(layer, sample), layer or "input", self._line(layer), standalone=True)

    def to_png(self, layer: str = "", sample: int = 0) -> bytes:
        """One map as a PNG of one pixel a place."""
        return png(self._map(layer, sample))

    def to_html(self, samples: int = 4) -> str:
        """A page with a row of maps for each of the first samples; nothing in it is fetched from elsewhere."""
        rows = []
        for sample in range(min(samples, len(self.targets))):
            plots = "".join(heatmap(v[sample], name or "input", self._line(name)) for name, v in self.maps.items())
            rows.append(f"<h2>Sample {sample}, class {self.targets[sample]}</h2><div>{plots}</div>")
        cells = "".join(
            f"<tr><td>{escape(visible(name))}</td><td>{_percent(share)}</td></tr>"
            for name, share in {"input": self.share, **self.by_layer}.items()
        )
        css = (
            f"body{{font-family:system-ui,sans-serif;margin:2rem;color:{LIGHT['ink']};background:{LIGHT['paper']}}}"
            "div{display:flex;flex-wrap:wrap;gap:1rem}td{padding:.1rem 1rem .1rem 0}" + STYLE
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Relevance by layer</title>'
            f"<style>{css}</style></head><body><h1>Relevance by layer</h1><p>{escape(self.summary())}</p>"
            f"<table><tr><th>at</th><th>inside the {self.region}</th></tr>{cells}</table>{''.join(rows)}</body></html>"
        )

    def save(self, file: str | os.PathLike[str]) -> Path:
        """Write .html, .svg or .png, by the name; raises UsageError for another one or where it cannot be written."""
        path = Path(file)
        kinds: dict[str, Callable[[], str | bytes]] = {".html": self.to_html, ".svg": self.to_svg, ".png": self.to_png}
        make = kinds.get(path.suffix.lower())
        if make is None:
            raise UsageError(f"{path} has no ending that says what to write", hint=f"one of {', '.join(kinds)}")
        made = make()
        try:
            path.write_bytes(made if isinstance(made, bytes) else made.encode())
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
        return path

    def summary(self) -> str:
        """The number in a sentence."""
        return (
            f"{_percent(self.share)} of the relevance lies inside the {self.region}, which is {_percent(self.area)} "
            f"of the image ({self.method}, {len(self.targets)} samples)."
        )

    def _line(self, layer: str) -> str:
        share = self.by_layer.get(layer, self.share)
        return f"{_percent(share)} of the relevance inside the {self.region}; blue against the class, red for it"

    def _map(self, layer: str, sample: int) -> np.ndarray:
        if layer not in self.maps or not 0 <= sample < len(self.targets):
            raise UsageError(
                f"there is no map of layer {layer!r} for sample {sample}",
                hint=f"layers are {', '.join(repr(name) for name in self.maps)}; samples 0 to {len(self.targets) - 1}",
            )
        found: np.ndarray = self.maps[layer][sample]
        return found


def attribute(
    model: torch.nn.Module,
    batch: Any,
    *,
    method: Literal["gradient", "lrp"] = "gradient",
    mask: Any = None,
    border: float = BORDER,
    layers: Sequence[str] | None = None,
) -> Attribution:
    """What part of the images a classifier's answers rest on; shows a pretrained start that looks at the background.

    batch: images (samples, channels, height, width), or (images, class numbers): the class that is asked about, which
        is the answer itself unless given.
    method: "gradient" (gradient times input) or "lrp" (layer-wise relevance propagation), both by captum.
    mask: of the background, (height, width) or (samples, height, width), true where the answer should not come from;
        without one the outer `border` of each side, as a share of it, is what is measured.
    layers: by name, else up to six of the convolutions.

    Works on a copy of the model. Raises MissingExtraError without captum, UsageError for what are no images or no
    classifier, and for layers that LRP has no rule for.
    """
    try:
        import torch

        from initadvisor.probe.relevance import relevance
    except ImportError as error:
        raise MissingExtraError("attribute", "attribution") from error
    given = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    if not 1 <= len(given) <= 2 or not all(isinstance(part, torch.Tensor) for part in given):
        raise UsageError("the batch is neither images nor a pair of images and classes", hint="give torch tensors")
    if method not in ("gradient", "lrp"):
        raise UsageError(f"there is no method {method!r}", hint='"gradient" or "lrp"')
    inputs = given[0]
    if inputs.ndim == 4:
        region = _mask(mask, border, len(inputs), (int(inputs.shape[2]), int(inputs.shape[3])))
    asked, maps = relevance(model, inputs, *given[1:], method=method, layers=layers)
    shares = {found.layer: found.share(region) for found in maps}
    return Attribution(
        method="gradient times input" if method == "gradient" else "LRP",
        targets=tuple(asked.tolist()),
        region="border" if mask is None else "mask",
        area=float(region.mean()),
        share=shares[""],
        by_layer={name: share for name, share in shares.items() if name},
        maps=_by_layer(maps),
    )


def _by_layer(maps: Sequence[RelevanceMap]) -> dict[str, np.ndarray]:
    return {found.layer: found.values for found in maps}


def _mask(mask: Any, border: float, samples: int, size: tuple[int, int]) -> np.ndarray:
    """The region as (samples, height, width) of 0 to 1; raises UsageError where it does not fit the images."""
    height, width = size
    if mask is None:
        if not 0.0 < border < 0.5:
            raise UsageError(f"a border of {border:g} leaves no image", hint="a share of a side, between 0 and 0.5")
        inner = np.ones(size)
        rows, columns = max(1, round(border * height)), max(1, round(border * width))
        inner[rows : height - rows, columns : width - columns] = 0.0
        return np.broadcast_to(inner, (samples, *size))
    array = np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask).astype(np.float64)
    if array.shape not in (size, (samples, *size)) or not ((array >= 0) & (array <= 1)).all():
        raise UsageError(
            f"the mask of shape {array.shape} does not fit {samples} images of {height} x {width}",
            hint="true where the background is, (height, width) or one for each sample",
        )
    return np.broadcast_to(array, (samples, *size))


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{100 * share:.1f}%"
