"""What other people's exceptions say, in messages of ours."""

from __future__ import annotations

import pytest

from initadvisor.errors import first_line


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", "ValueError"),
        (" \n\n", "ValueError"),
        ("broken", "broken"),
        ("\nfirst\nsecond", "first"),
        ("é" * 300, "é" * 200),
    ],
)
def test_an_exception_is_one_line_of_bounded_length(said: str, shown: str) -> None:
    assert first_line(ValueError(said)) == shown
    assert len(first_line(ValueError(said), 3)) <= 3
