"""The generator against the known answers that Random123 publishes, and its addressing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initadvisor.initializers.draws import Key, WordStream

ONES = 2**64 - 1
KNOWN_ANSWERS = [
    # counter, key, output: kat_vectors of Random123, philox4x64 with 10 rounds
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
    ),
    (
        (ONES, ONES, ONES, ONES),
        (ONES, ONES),
        (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    ),
    (
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_numpy_philox_gives_the_published_answers(counter, key, expected):
    value = sum(word << 64 * i for i, word in enumerate(counter))
    philox = np.random.Philox(key=key[0] | key[1] << 64, counter=(value - 1) % 2**256)
    assert tuple(int(lane) for lane in philox.random_raw(4)) == expected


def philox(counter: int, key: tuple[int, int]) -> list[int]:
    """Philox4x64-10 from the paper's definition, on Python integers."""
    x, (k0, k1), mask = [counter, 0, 0, 0], key, 2**64 - 1
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(b >> 64) ^ x[1] ^ k0, b & mask, (a >> 64) ^ x[3] ^ k1, a & mask]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return x


def test_word_i_is_half_of_a_lane_of_the_block_numbered_i_over_8():
    key = Key(17, "features.0.weight")
    words = WordStream(key).read(0, 40)
    for i, word in enumerate(words.tolist()):
        lane = philox(i // 8, key.words())[i // 2 % 4]
        assert word == (lane >> 32 * (i % 2)) & 0xFFFFFFFF


@given(st.integers(0, 5000), st.integers(0, 300), st.integers(0, 300))
def test_any_stretch_of_words_is_a_slice_of_the_stream(start, count, gap):
    stream, whole = WordStream(Key(1, "w")), WordStream(Key(1, "w")).read(0, 6000)
    assert (stream.read(start, count) == whole[start : start + count]).all()
    again = start + count + gap
    assert (stream.read(again, count) == whole[again : again + count]).all()


@given(st.integers(), st.integers(), st.text(), st.text())
def test_keys_differ_where_seed_or_name_differ(seed, other, name, rename):
    assert (Key(seed, name).words() == Key(other, rename).words()) == ((seed, name) == (other, rename))


def test_a_name_that_is_no_valid_text_still_has_a_stream():
    assert len(WordStream(Key(0, "\udcff\x00weight")).read(0, 3)) == 3


def test_far_into_a_stream_is_as_cheap_as_its_start():
    words = WordStream(Key(0, "w")).read(2**60, 4)
    assert words.tolist() == [
        (philox(2**60 // 8, Key(0, "w").words())[i // 2 % 4] >> 32 * (i % 2)) & 0xFFFFFFFF for i in range(4)
    ]
