"""The torch form of the deviates against the numpy form: the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from initadvisor.apply import device_draws
from initadvisor.initializers import Key, Normal, TruncatedNormal, Uniform
from initadvisor.initializers.draws import WordStream

DEVICES = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
DISTRIBUTIONS = [
    *(Normal(0.02), Normal(1.3, 0.5), Uniform(0.1), Uniform(2.0, -1.0)),
    *(TruncatedNormal(0.02), TruncatedNormal(0.3, 1.0, cut=3.0), TruncatedNormal(1.0, cut=4.5)),
]


@settings(deadline=None, max_examples=30)
@given(st.integers(), st.text(), st.integers(0, 2**62), st.integers(0, 200))
@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_words_are_those_of_numpys_compiled_generator(device, seed, name, start, count):
    words = device_draws.words(Key(seed, name), start, count, device)
    assert (words.cpu().numpy().view(np.uint32) == WordStream(Key(seed, name)).read(start, count)).all()


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda d: d.describe())
@pytest.mark.parametrize(("start", "count"), [(0, 300_000), (1, 70), (32_760, 40_000), (2**40 + 3, 1000)])
@pytest.mark.parametrize("double", [False, True])
def test_deviates_have_the_same_bits_as_in_numpy(device, distribution, start, count, double):
    key = Key(7, "layer.weight")
    expected = np.empty(count, np.float64 if double else np.float32)
    distribution.draw(key, (start + count,), expected, range(start, start + count))
    drawn = device_draws.deviates(distribution, key, start, count, device, double)
    assert (drawn.cpu().numpy() == expected).all()
