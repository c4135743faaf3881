"""Biases of gated recurrent layers."""

from __future__ import annotations

import numpy as np

from initadvisor.initializers.registry import array_method


@array_method("lstm_bias")
def lstm_bias(
    rng: np.random.Generator, shape: tuple[int, ...], *, gates: str = "ifgo", forget: float = 1.0
) -> np.ndarray:
    """Zero biases but for the forget gate's, so that the cell remembers at the start.

    Formula: b_f = forget (1), all others 0; `gates` gives the storage order (torch "ifgo", ONNX "iofc").
    Use: every LSTM.
    Caveat: torch and ONNX add two bias vectors: set this one in one of them and zeros in the other, else it doubles.
    Source: Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures".
    """
    bias = np.zeros(shape)
    hidden = shape[-1] // len(gates)
    start = gates.index("f") * hidden
    bias[..., start : start + hidden] = forget
    return bias


@array_method("chrono_bias")
def chrono_bias(rng: np.random.Generator, shape: tuple[int, ...], *, t_max: float, gates: str = "ifgo") -> np.ndarray:
    """Forget gates spread over the time scales of the data.

    Formula: b_f = ln U(1, t_max - 1), b_i = -b_f, others 0: the memory 1 / (1 - f) lies in [2, t_max].
    Use: LSTMs on sequences with dependencies of up to t_max steps.
    Caveat: set it in one of the two bias vectors of torch and ONNX, zeros in the other.
    Source: Tallec and Ollivier 2018, arXiv 1804.11188.
    """
    bias = np.zeros(shape)
    hidden = shape[-1] // len(gates)
    memory = np.log(1.0 + (t_max - 2.0) * rng.random(bias[..., :hidden].size)).reshape(*shape[:-1], hidden)
    forget, enter = gates.index("f") * hidden, gates.index("i") * hidden
    bias[..., forget : forget + hidden] = memory
    bias[..., enter : enter + hidden] = -memory
    return bias
