"""Biases that start the output at a known class frequency."""

from __future__ import annotations

from math import log

import numpy as np

from initadvisor.errors import UsageError
from initadvisor.graph import Layout
from initadvisor.initializers.distributions import Constant
from initadvisor.initializers.registry import array_method, distribution_method


@distribution_method("focal_prior")
def focal_prior(shape: tuple[int, ...], layout: Layout, *, prior: float = 0.01) -> Constant:
    """The bias with which a sigmoid output starts at probability `prior`.

    Formula: b = -ln((1 - prior) / prior); -4.59512 at .01.
    Use: the classification bias of a dense detector, rare binary targets.
    Caveat: assumes that the rest of the logit is small at the start, so the head's weights must be.
    Source: Lin et al. 2017, "Focal Loss", arXiv 1708.02002.
    """
    if not 0.0 < prior < 1.0:
        raise UsageError(f"a prior lies between 0 and 1, not at {prior}")
    return Constant(-log((1.0 - prior) / prior))


@array_method("class_prior")
def class_prior(rng: np.random.Generator, shape: tuple[int, ...], *, priors: list[float]) -> np.ndarray:
    """The bias with which a softmax output starts at the classes' frequencies.

    Formula: b_c = ln pi_c, the frequencies normalised; the loss then starts at the entropy of the classes.
    Use: heads of imbalanced problems.
    Caveat: needs the frequencies of the training set, one an output; smooth the count of an empty class.
    Source: folklore; Karpathy 2019, "A Recipe for Training Neural Networks".
    """
    frequencies = np.asarray(priors, np.float64)
    logs: np.ndarray = np.log(frequencies / frequencies.sum()).reshape(shape)
    return logs


@array_method("base_rate")
def base_rate(rng: np.random.Generator, shape: tuple[int, ...], *, rates: list[float]) -> np.ndarray:
    """The bias with which each of several sigmoid outputs starts at the base rate of its own label.

    Formula: b_c = ln(p_c / (1 - p_c)); the loss then starts at the sum of the labels' entropies.
    Use: heads with several labels a sample. For one probability on all outputs there is focal_prior.
    Caveat: needs one rate an output, each between 0 and 1; smooth those of labels that never or always hold.
    Source: folklore; Karpathy 2019, "A Recipe for Training Neural Networks".
    """
    known = np.asarray(rates, np.float64)
    if not ((known > 0.0) & (known < 1.0)).all():
        raise UsageError(f"base rates lie between 0 and 1, not at {float(known.min())} to {float(known.max())}")
    logits: np.ndarray = (np.log(known) - np.log1p(-known)).reshape(shape)
    return logits
