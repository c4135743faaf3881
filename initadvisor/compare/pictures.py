"""The pictures of a comparison as SVG: learning curves, signal and gradient by layer, histograms of activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from initadvisor.compare.model import Comparison, InitResult, LayerRecord
from initadvisor.report.svg import Series, histogram, line_plot
from initadvisor.report.svg.frame import heading, root

SHOWN_LAYERS = 4
"""Layers whose histograms are drawn, evenly over the depth."""

CELL = (250.0, 130.0)
"""Width and height of one histogram among others."""

Figure = Callable[[LayerRecord], float | None]


def learning_curves(comparison: Comparison, *, standalone: bool = False, width: float = 480) -> str:
    """Held-out score over steps."""
    name = score_name(comparison)
    series = [
        Series(result.name, run.curve.score, run.curve.steps)
        for result in comparison.inits
        if (run := result.shown) is not None
    ]
    title = f"Held-out {name} over steps"
    return line_plot(series, title=title, x_label="steps", y_label=name, width=width, standalone=standalone)


def loss_curves(comparison: Comparison, *, standalone: bool = False, width: float = 480) -> str:
    """Training loss over steps, on a logarithmic axis."""
    series = [
        Series(result.name, run.curve.train_loss[1:], run.curve.steps[1:])
        for result in comparison.inits
        if (run := result.shown) is not None
    ]
    return line_plot(
        series,
        title="Training loss over steps",
        x_label="steps",
        y_label="loss",
        log_y=True,
        width=width,
        standalone=standalone,
    )


def by_layer(
    comparison: Comparison,
    figure: Figure,
    title: str,
    y_label: str,
    *,
    end: bool = False,
    log: bool = True,
    standalone: bool = False,
    width: float = 480,
) -> str:
    """One figure over the layers in forward order; `end`: after training."""
    series = []
    for result in drawn(comparison):
        layers = _layers(result, end)
        if layers:
            places = range(1, len(layers) + 1)
            names = [layer.name for layer in layers]
            series.append(Series(result.name, [figure(layer) for layer in layers], list(places), names))
    return line_plot(
        series, title=title, x_label="layer", y_label=y_label, log_y=log, width=width, standalone=standalone
    )


def signal(comparison: Comparison, *, end: bool = False, standalone: bool = False) -> str:
    """RMS of activations by layer."""
    when = "after training" if end else "before training"
    title = f"Signal {when}: RMS of activations"
    return by_layer(comparison, lambda layer: layer.rms, title, "RMS", end=end, standalone=standalone)


def gradient(comparison: Comparison, *, end: bool = False, standalone: bool = False) -> str:
    """RMS of the gradient with respect to pre-activations by layer."""
    when = "after training" if end else "before training"
    title = f"Gradient {when}: RMS at pre-activations"
    return by_layer(comparison, lambda layer: layer.gradient_rms, title, "RMS", end=end, standalone=standalone)


def weight_gradient(comparison: Comparison, *, end: bool = False, standalone: bool = False) -> str:
    """RMS of the gradient with respect to weights by layer."""
    when = "after training" if end else "before training"
    title = f"Gradient {when}: RMS at weights"
    return by_layer(comparison, lambda layer: layer.weight_gradient_rms, title, "RMS", end=end, standalone=standalone)


def has_dead(comparison: Comparison) -> bool:
    """Whether some unit is dead in some run that is shown."""
    return any(layer.dead for result in drawn(comparison) for end in (False, True) for layer in _layers(result, end))


def dead(comparison: Comparison, *, end: bool = False, standalone: bool = False) -> str:
    """Share of dead units by layer."""
    title = f"Dead units {'after' if end else 'before'} training"
    return by_layer(comparison, lambda layer: layer.dead, title, "share", end=end, log=False, standalone=standalone)


@dataclass(frozen=True, slots=True)
class Cell:
    """One histogram: its picture, empty where there are no finite values, and what lies outside of it."""

    layer: str
    picture: str
    note: str


def histograms(comparison: Comparison, *, end: bool = False) -> list[tuple[InitResult, list[Cell]]]:
    """For each initialization the histograms of a few layers."""
    rows = []
    for result in drawn(comparison):
        layers = _layers(result, end)
        if layers:
            rows.append((result, [_cell(result, layer) for layer in picked(layers)]))
    return rows


def save(comparison: Comparison, folder: Path, prefix: str) -> list[Path]:
    """Write the pictures of a comparison as SVG files of their own; gives the files."""
    sheets = {
        "learning": learning_curves(comparison, standalone=True),
        "signal": signal(comparison, standalone=True),
        "gradient": gradient(comparison, standalone=True),
        "activations": histogram_sheet(comparison),
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, picture in sheets.items():
        files.append(folder / f"{prefix}_{name}.svg")
        files[-1].write_text(picture + "\n", encoding="utf-8")
    return files


def histogram_sheet(comparison: Comparison, *, end: bool = False) -> str:
    """All histograms in one picture that stands alone: a row an initialization, a column a layer."""
    rows = histograms(comparison, end=end)
    columns = max((len(cells) for _, cells in rows), default=1)
    body, top = [], 34.0
    for result, cells in rows:
        body.append(_shifted(heading(result.name, columns * CELL[0]), 0, top - 4))
        for column, cell in enumerate(cells):
            x = column * CELL[0]
            body.append(_shifted(heading_small(_over(cell)), x, top + 36))
            if cell.picture:
                body.append(cell.picture.replace("<svg ", f'<svg x="{x:g}" y="{top + 40:g}" ', 1))
        top += CELL[1] + 56
    title = f"Activations {'after' if end else 'before'} training"
    told = "; ".join(f"{r.name}: {', '.join(c.layer for c in cells)}" for r, cells in rows)
    return root(columns * CELL[0], top, title, told, [heading(title, columns * CELL[0]), *body], standalone=True)


def heading_small(text: str) -> str:
    """The name over one histogram of a sheet."""
    from initadvisor.report.svg.markup import fitted, label

    return label(fitted(text, CELL[0] - 20, 11), 12, 0, size=11)


def _over(cell: Cell) -> str:
    return f"layer {cell.layer}" + (f": {cell.note}" if cell.note else "")


def _shifted(markup: str, x: float, y: float) -> str:
    return f'<g transform="translate({x:g} {y:g})">{markup}</g>'


def picked(layers: Sequence[LayerRecord]) -> list[LayerRecord]:
    """Layers evenly over the depth; those with an activation function where there are any."""
    among = [layer for layer in layers if layer.function != "linear"] or list(layers)
    count = min(SHOWN_LAYERS, len(among))
    return [among[i * (len(among) - 1) // max(count - 1, 1)] for i in range(count)]


def _cell(result: InitResult, layer: LayerRecord) -> Cell:
    bins = layer.histogram
    if bins is None:
        return Cell(layer.name, "", "not finite")
    step = (bins.high - bins.low) / len(bins.shares)
    edges = [bins.low + i * step for i in range(len(bins.shares) + 1)]
    outside = [f"{bins.zero:.0%} zero"] if bins.zero else []
    outside += [f"{bins.below + bins.above:.0%} outside"] if bins.below + bins.above >= 0.005 else []
    title = f"{result.name}: activations of {layer.name}"
    picture = histogram(edges, bins.shares, title=title, label="activations", width=CELL[0], height=CELL[1])
    return Cell(layer.name, picture, ", ".join(outside))


def drawn(comparison: Comparison) -> list[InitResult]:
    """The initializations that ran."""
    return [result for result in comparison.inits if result.shown is not None]


def score_name(comparison: Comparison) -> str:
    """What the held-out score is called."""
    return "accuracy" if comparison.data.task == "classification" else "R²"


def _layers(result: InitResult, end: bool) -> Sequence[LayerRecord]:
    run = result.shown
    return () if run is None else run.end if end else run.start
