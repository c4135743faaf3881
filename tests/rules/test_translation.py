"""The Japanese of a rule file is checked when the file is read: it may show what the English shows, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from initadvisor.errors import RuleError
from initadvisor.rules import parse_text

PAGE = """# ACME001 `odd-head`

```toml rule
since    = "1"
severity = "info"
scope    = "layer"
when     = "layer.gain > 1.0"
message  = "gain {{layer.gain:.3g}} at {{layer.name}}"
{fix}

[ja]
{ja}
```

## What it does
x
## Why it matters
x
## When to ignore it
x
## References
x
"""
FIX = 'fix = { hint = "see {layer.op}" }'


def _parse(ja: str, fix: str = FIX) -> object:
    return parse_text(PAGE.format(ja=ja, fix=fix), Path("acme/ACME001-odd-head.md")).active


def test_fewer_names_and_another_precision_are_fine() -> None:
    rule = _parse('title = "変な層"\nmessage = "ゲイン {layer.gain:.2g}"\nhint = "{layer.op} と {layer.name}"')
    assert rule.ja.title == "変な層"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ja", "said"),
    [
        ('title = "t"\nmessage = "{layer.gian}"', '"layer.gian" is not shown in the English text'),
        ('title = "t"\nmessage = "{layer.op}"', '"layer.op" is not shown'),
        ('title = "t"\nmessage = "{layer.name:.3g}"', "the English text shows it as {layer.name:}"),
        ('title = "t"\nmessage = "{layer.gain:>99999}"', "the English text shows it as {layer.gain:.3g}"),
        ('title = "t"\nmessage = "{layer.gain"', "ja: "),
        ('title = "t"\nmessage = "m"\nhint = "{layer.fan_in}"', "is not shown"),
        ('message = "m"', '"ja.title" is missing'),
        ('title = "t"\nmessage = "m"\ntitel = "t"', "unknown key"),
    ],
)
def test_what_cannot_be_shown_is_an_error_with_its_place(ja: str, said: str) -> None:
    with pytest.raises(RuleError) as caught:
        _parse(ja)
    assert said in str(caught.value)
    assert "ACME001-odd-head.md:" in str(caught.value)


def test_a_hint_needs_one_in_english() -> None:
    with pytest.raises(RuleError, match="there is a hint, and none in English"):
        _parse('title = "t"\nmessage = "m"\nhint = "h"', fix="")
