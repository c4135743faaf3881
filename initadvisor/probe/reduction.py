"""What every rank saw of its samples, as if one process had seen all of them.

Largest magnitudes come first, so that sums of squares over the ranks neither overflow nor vanish; then sums; then what
is left between the ranks' means (Chan, Golub and LeVeque 1983), so that a small variance beside a large mean survives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from initadvisor.probe.ledger import Ledger
from initadvisor.probe.observer import Output, Pass
from initadvisor.probe.ranks import Ranks
from initadvisor.probe.sample import (
    MAX_ELEMENTS,
    MAX_SAMPLES,
    TINY,
    sample_grams,
    token_remainder,
    unit_events,
    unit_shares,
)
from initadvisor.probe.site import Site

_Key = tuple[int, int]


@torch.no_grad()  # type: ignore[untyped-decorator]
def reduce_pass(ranks: Ranks, record: Pass, sites: Sequence[Site], ledger: Ledger) -> None:
    """Put the numbers of all ranks into the outputs of a step; what ran on some ranks only is left out."""
    mine = _keyed(record.outputs)
    shapes = {
        key: (*output.sample.shape, output.elements, output.gradient)
        for key, output in mine.items()
        if output.sample is not None
    }
    everywhere = ranks.gathered(shapes)
    keys = [key for key in shapes if all(key in other for other in everywhere)]
    record.outputs = outputs = [mine[key] for key in keys]
    if not outputs:
        return
    samples = []
    for key, output in zip(keys, outputs, strict=True):
        assert output.sample is not None
        units, places = (min(other[key][axis] for other in everywhere) for axis in (1, 2))
        samples.append(output.sample[:, :units, :places])
        output.sample = None
    where = samples[0].device
    absmax = ranks.largest([torch.stack([s.abs().amax().to(where) for s in samples])])[0].float()
    scaled = [s / m.clamp_min(TINY).to(s.device) for s, m in zip(samples, absmax.unbind(), strict=True)]
    sums = ranks.sum(
        [t for o, s, x in zip(outputs, samples, scaled, strict=True) for t in _sums(o, s, x, sites, ledger)]
    )
    between: list[torch.Tensor] = []
    found: list[list[torch.Tensor]] = []
    for output, sample, x in zip(outputs, samples, scaled, strict=True):
        own = sums[: _LENGTH + len(unit_events(sample[:1], sites[output.site].activation))]
        del sums[: len(own)]
        found.append(own)
        mean = own[1] / own[0]
        between.append((x.double().mean(0).to(mean) - mean).square().sum() * x.shape[0])
    apart = ranks.sum(between)
    made: list[list[torch.Tensor]] = []
    for index, (output, own, outer) in enumerate(zip(outputs, found, apart, strict=True)):
        each = [other[keys[index]] for other in everywhere]
        # The loss is the mean over the ranks: the part of each output in it is that much smaller.
        gradient = own[5].sqrt() / ranks.count
        output.gradient = any(shape[4] for shape in each)
        output.elements = sum(shape[3] for shape in each)
        output.observations = sum(shape[0] for shape in each) * own[1].shape[1]
        made.append([gradient, own[6], _values(absmax[index], own, outer, sites[output.site].activation)])
    counts = [[other[key][0] for other in everywhere] for key in keys]
    remainders, grams = _rows(ranks, keys, outputs, samples, counts)
    for index, (output, pieces) in enumerate(zip(outputs, made, strict=True)):
        output.tokens = index in remainders
        output.samples = grams[index].shape[-1] if index in grams else 0
        pieces += [found[index] for found in (remainders, grams) if index in found]
        output.entry = ledger.put([piece.to(where).float() for piece in pieces])


_LENGTH = 7
"""Tensors of `_sums` before the counts of each unit."""


def _sums(
    output: Output, sample: torch.Tensor, scaled: torch.Tensor, sites: Sequence[Site], ledger: Ledger
) -> list[torch.Tensor]:
    x = scaled.double() if scaled.device.type != "mps" else scaled
    count = torch.full((), float(sample.shape[0]), dtype=x.dtype, device=x.device)
    within = (x - x.mean(0)).square().sum()
    norm, total = ledger.at(output.entry).to(x).unbind()
    gradient = norm if output.gradient else torch.zeros_like(count)
    fixed = [
        count,
        x.sum(0),
        x.square().sum(),
        within,
        (sample == 0).sum().to(x),
        gradient.square(),
        total,
    ]
    return fixed + [event.sum((0, 2)) for event in unit_events(sample, sites[output.site].activation)]


def _values(absmax: torch.Tensor, own: list[torch.Tensor], between: torch.Tensor, activation: str) -> torch.Tensor:
    count, total, squares, within, zeros = own[:5]
    elements = count * total.numel()
    variance = (within + between) / total.numel() / (count - 1)
    variance = torch.where(count > 1, variance, torch.full_like(variance, float("nan")))
    units = [(event / (count * total.shape[1])).float() for event in own[_LENGTH:]]
    nothing = torch.full_like(count, float("nan"))
    judged = [nothing if x is None else x.double() for x in unit_shares(units, activation)]
    values = (absmax.double(), total.sum() / elements, squares / elements, variance, zeros / elements, *judged)
    return torch.stack([v.to(count.device) for v in values])


def _rows(
    ranks: Ranks, keys: Sequence[_Key], outputs: list[Output], samples: list[torch.Tensor], counts: list[list[int]]
) -> tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]:
    """What differs between tokens, and angles between samples, those of other ranks too; by number of the output.

    Angles are taken from at most `MAX_ELEMENTS` numbers of each output.
    """
    parts = []
    for (_, call), sample, each in zip(keys, samples, counts, strict=True):
        if call:
            continue
        rows = min(MAX_SAMPLES, sum(each))
        step = max(1, -(-rows * sample[0].numel() // MAX_ELEMENTS))
        table = sample.new_zeros(rows, -(-sample[0].numel() // step))
        start = sum(each[: ranks.rank])
        mine = sample.flatten(1)[: max(0, rows - start), ::step]
        table[start : start + len(mine)] = mine
        parts.append(table)
    tables = iter(ranks.sum(parts))
    grams: dict[int, torch.Tensor] = {}
    # Remainders of tokens are means over a rank's samples, of which each rank takes as many.
    own: dict[int, torch.Tensor] = {}
    for index, ((_, call), output, sample) in enumerate(zip(keys, outputs, samples, strict=True)):
        if call:
            continue
        table = next(tables)
        if len(table) > 1:
            grams[index] = sample_grams(table.float()[:, :, None])
        if sample.shape[2] > 3 and output.features_last:
            own[index] = token_remainder(sample)
    remainders = dict(zip(own, ranks.sum(list(own.values())), strict=True))
    return {index: value / ranks.count for index, value in remainders.items()}, grams


def _keyed(outputs: Sequence[Output]) -> dict[_Key, Output]:
    """By site and number of the call."""
    calls, found = Counter[int](), {}
    for output in outputs:
        found[output.site, calls[output.site]] = output
        calls[output.site] += 1
    return found


@torch.no_grad()  # type: ignore[untyped-decorator]
def output_spread(ranks: Ranks, output: torch.Tensor | None) -> tuple[float | None, float | None]:
    """Standard deviation of the outputs over all samples, and its share of their root mean square.

    Of at most `MAX_ELEMENTS` outputs of a sample, evenly spread; None for outputs without samples or not finite.
    """
    usable = output is not None and output.ndim > 1
    widths = ranks.gathered(output[0].numel() if usable and output is not None and len(output) else 0)
    if not all(widths) or output is None:
        return None, None
    width = min(widths)
    x = output.flatten(1)[:, : width : max(1, width // MAX_ELEMENTS)].double()
    count = x.new_full((), float(len(x)))
    total, squares, within, number = ranks.sum([x.sum(0), x.square().sum(), (x - x.mean(0)).square().sum(), count])
    between = ranks.sum([(x.mean(0).to(total) - total / number).square().sum() * len(x)])[0]
    if float(number) < 2 or not bool(torch.isfinite(squares)):
        return None, None
    spread = float((within + between) / total.numel() / (number - 1)) ** 0.5
    rms = float(squares / total.numel() / number) ** 0.5
    return spread, spread / rms if rms else None
