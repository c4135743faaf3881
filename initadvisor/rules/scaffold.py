"""A new rule file to start from."""

from __future__ import annotations

import re
from pathlib import Path

from initadvisor.errors import UsageError

_TEMPLATE = """# {id} `{name}`

```toml rule
status   = "preview"
since    = "{since}"
severity = "warning"
scope    = "layer"
needs    = ["graph", "weights"]
when     = "layer.kind == 'linear' && layer.fan_in >= p.min_fan && tensor.std > p.high"
message  = "std {{tensor.std:.3g}} over fan_in {{layer.fan_in}}"
p        = {{ high = 1.0, min_fan = 8 }}
fix      = {{ initializer = "recommended", safety = "safe-before-training" }}
```

## What it does

One or two sentences: what is measured, on what, against what.

## Why it matters

What happens in training, with a number. The first sentence is shown under every finding.

## When to ignore it

The cases where this state is meant.

## References

- Author et al., title, year, arXiv:0000.00000.

```python bad title="what is wrong here"
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
nn.init.normal_(model[0].weight, std=3.0)
input_shape = (2, 64)
```

```python good
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
input_shape = (2, 64)
```
"""


def new_rule(rule_id: str, name: str, folder: Path, since: str) -> Path:
    """Write a rule file to start from and give its path; raises UsageError for a bad id, a bad name or a file there."""
    if not re.fullmatch(r"[A-Z]+\d{3,}", rule_id):
        raise UsageError(
            f'"{rule_id}" is not a rule id', hint="capital letters and at least three digits, such as ACME001"
        )
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UsageError(
            f'"{name}" is not a rule name', hint="lower-case words joined by hyphens, such as gain-too-small"
        )
    path = folder / f"{rule_id}-{name}.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(id=rule_id, name=name, since=since))
    except FileExistsError as error:
        raise UsageError(f"{path} is there already") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    return path
