"""Fourier transforms: complex numbers flow as pairs of reals along the last axis."""

from __future__ import annotations

from typing import Any

import torch

from initadvisor.errors import FormatError
from initadvisor.probe.onnx_torch.registry import Call, implements, number


def _complex(x: Any) -> Any:
    if x.shape[-1] == 1:
        return x[..., 0]
    if x.shape[-1] != 2:
        raise FormatError(f"a signal whose last axis has {x.shape[-1]} elements; it holds 1 or 2")
    return torch.view_as_complex(x.contiguous())


@implements("DFT")
def fourier(call: Call, x: Any, length: Any = None, axis: Any = None) -> Any:
    """The discrete Fourier transform along an axis, its inverse, or the half of it that a real signal has."""
    along = call.attr("axis", 1) if call.opset < 20 else int(number(axis, -2))
    along = along + x.dim() if along < 0 else along
    count = None if length is None else int(number(length))
    signal = _complex(x)
    if count is not None:
        call.allow((*(size for at, size in enumerate(signal.shape) if at != along), count), 8)
    one_sided, inverse = bool(call.attr("onesided", 0)), bool(call.attr("inverse", 0))
    if one_sided and inverse:
        whole = count or 2 * (signal.shape[along] - 1)
        return torch.fft.irfft(signal, whole, along).unsqueeze(-1)
    if inverse:
        made = torch.fft.ifft(signal, count, along)
    elif one_sided:
        made = torch.fft.rfft(signal, count, along)
    else:
        made = torch.fft.fft(signal, count, along)
    return torch.view_as_real(made)


@implements("STFT")
def short_time_fourier(call: Call, x: Any, step: Any, window: Any = None, length: Any = None) -> Any:
    """The Fourier transform of each frame of a signal."""
    size = int(number(length)) if length is not None else int(window.shape[0])
    hop = int(number(step))
    signal = _complex(x)
    call.allow((signal.shape[0], max((signal.shape[1] - size) // max(hop, 1) + 1, 0), size, 2))
    frames = signal.unfold(1, size, hop)
    frames = frames if window is None else frames * window
    real = not frames.is_complex() and bool(call.attr("onesided", 1))
    return torch.view_as_real(torch.fft.rfft(frames) if real else torch.fft.fft(frames))
