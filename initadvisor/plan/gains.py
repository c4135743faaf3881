"""The gain that a layer's place in the graph calls for."""

from __future__ import annotations

from math import inf

from initadvisor.graph import Layer

LEAST_GRADIENT = 0.5
"""Where the forward gain keeps less than this share of the squared gradient (sigmoid, softplus), the backward gain."""


def recommended_gain(layer: Layer) -> tuple[float, str]:
    """(gain, what it makes up for): rms(W) sqrt(fan_in) that keeps a unit second moment through layer and activation.

    A gate keeps its pre-activation at one; the layer behind a gated product makes up for it (SwiGLU 1.677).
    """
    activation, gate = layer.activation, layer.attrs.get("behind_gate")
    gain, reason = 1.0, "a unit second moment stays one"
    if activation is not None and not activation.gated and layer.role not in ("gate_up", "head"):
        forward, backward = _inverse_root(activation.second_moment), _inverse_root(activation.slope_moment)
        if forward is not None and backward is not None and forward**2 < LEAST_GRADIENT * backward**2:
            forward = backward
        if forward is not None and activation.name != "linear":
            gain, reason = forward, f"{activation.name} needs a gain of {forward:.4g}"
    lost = _inverse_root(gate.second_moment) if gate is not None else None
    if gate is not None and lost is not None:
        gain, reason = gain * lost, f"it reads a product gated by {gate.name}, which needs a gain of {gain * lost:.4g}"
    return gain, reason


def _inverse_root(moment: float | None) -> float | None:
    return None if moment is None or not 0.0 < moment < inf else float(moment**-0.5)
