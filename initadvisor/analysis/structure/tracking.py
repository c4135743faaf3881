"""Which output channels of a layer a value holds, behind any splits, reshapes and permutations."""

from __future__ import annotations

import numpy as np

from initadvisor.analysis.structure.axes import View, channel_of
from initadvisor.analysis.structure.draft import Draft, Site
from initadvisor.analysis.structure.movement import move

MAX_VALUES = 256
"""Rearranged values followed behind one layer."""

_CHANNEL_FIRST = frozenset({"conv", "conv_transpose", "deform_conv", "quantized_conv", "integer_conv"})


def channel_axis(draft: Draft, site: Site) -> int:
    """The axis of a layer's output that runs over its channels."""
    if draft.wiring.nodes[site.node].op not in _CHANNEL_FIRST:
        return -1
    shape = draft.wiring.shape(site.output) if site.output is not None else None
    rank = len(draft.graph.parameters[site.layer.weight].shape) if site.layer.weight else 4
    return 0 if shape is not None and len(shape) == rank - 1 else 1


def channels_after(draft: Draft, site: Site) -> dict[int, View]:
    """Value -> its arrangement of the layer's output channels, for every value that only rearranges them."""
    wiring = draft.wiring
    if site.output is None:
        return {}
    shape = wiring.shape(site.output)
    if shape is None or not shape:
        return {}
    found = {site.output: channel_of(shape, channel_axis(draft, site))}
    queue = [site.output]
    while queue and len(found) < MAX_VALUES:
        value = queue.pop(0)
        for reader, slot in wiring.readers[value]:
            node = wiring.nodes[reader]
            if slot != 0 or not wiring.transparent(node) or node.op in ("cat", "stack", "broadcast_tensors"):
                continue
            for output, view in zip(node.outputs, move(wiring, node, found[value]), strict=True):
                if view is not None and output not in found:
                    found[output] = view
                    queue.append(output)
    return found


def channel_mask(view: View, channels: int) -> np.ndarray | None:
    """A flag for each output channel: whether the view holds it; None where the view is not exact."""
    index = np.array([view.starts[0]])
    for axis in view.axes:
        for factor in axis:
            if factor.axis != 0:
                continue
            if factor.size is None:
                return None
            index = (index[:, None] + np.arange(factor.size)[None, :] * factor.stride).ravel()
    if index.size == 0 or index.max() >= channels:
        return None
    mask = np.zeros(channels, dtype=bool)
    mask[index] = True
    return mask


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """The [start, stop) stretches of a mask."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
