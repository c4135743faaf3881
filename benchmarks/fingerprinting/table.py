"""The error rates as the table of the documentation."""

from __future__ import annotations

from typing import Any


def as_markdown(report: dict[str, Any]) -> str:
    """The error rates as the table of docs/pretrained.md."""
    counts, zoo_counts, draws = report["trained_test"]["counts"], report["zoo"], report["random_draws"]
    fresh, other, trained = "fresh", "fresh, other generator", "trained"
    looked_at = f"torchvision models at random init ({zoo_counts['models']} of {_all(zoo_counts)})"
    right = zoo_counts["tensors"] - zoo_counts["wrong"]
    rows = [
        (f"{looked_at}: called trained", zoo_counts["called trained"], zoo_counts["tensors"], "at most 1%"),
        (f"{looked_at}: random, of the right distribution and family", right, zoo_counts["tensors"], "99%"),
        ("numpy's draws of every initializer: called trained", draws["called trained"], draws["tensors"], "at most 1%"),
    ]
    for state, goal in ((fresh, "at most 1%"), (other, "at most 1%"), (trained, "95%")):
        what = "after 200 steps" if state == trained else "before training" + (state == other) * ", another generator's"
        called = counts[f"{state}: called trained, settled"]
        rows.append((f"small nets on digits, {what}: called trained", called, counts[f"{state}: tensors"], goal))
    alone = counts["trained: called trained alone"]
    rows.append(("the same, each tensor by itself", alone, counts["trained: tensors"], "none"))
    lines = ["| tensors | count | of | rate | goal |", "|---|---|---|---|---|"]
    lines += [f"| {what} | {count} | {of} | {count / of:.2%} | {goal} |" for what, count, of, goal in rows]
    return "\n".join(lines) + "\n"


def _all(counts: dict[str, Any]) -> int:
    return int(counts["models"]) + int(counts["models left"])
