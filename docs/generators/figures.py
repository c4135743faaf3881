"""Which figures of the benchmarks are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Find = Callable[[Any], object]

FIGURES: list[tuple[str, str, Find]] = [
    (
        "startup.json",
        "`import initadvisor`, seconds (target 0.1)",
        lambda d: d["rows"]["import initadvisor"]["seconds"],
    ),
    (
        "startup.json",
        "`initadvisor --help`, seconds (target 0.3)",
        lambda d: d["rows"]["initadvisor --help"]["seconds"],
    ),
    ("static.json", "check of a ResNet-50 file over `onnx.checker`, in time", lambda d: d["cold_check"]["ratio"]),
    ("chains.json", "deep nets: errors that were right", lambda d: d["result"]["precision"]),
    ("chains.json", "deep nets: untrainable ones found", lambda d: d["result"]["recall"]),
    ("signal.json", "models and stacks over which the predicted signal was compared", lambda d: d["all"]["models"]),
    ("signal.json", "median relative error of the predicted std", lambda d: d["all"]["activation_std"]["median_error"]),
    ("fingerprint.json", "random draws that were called trained", lambda d: d["random_draws"]["false alarm rate"]),
    (
        "fingerprint.json",
        "torchvision tensors at random init called random, of the right family",
        lambda d: d["zoo"]["right"],
    ),
    (
        "fingerprint.json",
        "tensors called trained after 200 steps (target 0.95)",
        lambda d: d["trained_test"]["rates"]["trained tensors called trained"],
    ),
    (
        "recognition.json",
        "torchvision models recognised by their shapes, of 160 cases",
        lambda d: d["recognised by shapes"]["right and alone"],
    ),
    ("zoo.json", "published models looked at", lambda d: d["summary"]["looked at"]),
    ("zoo.json", "of these, with errors of check", lambda d: len(d["summary"]["check"]["models with errors"])),
    (
        "trainability.json",
        "350 starts, the half that no fit has seen: AUC of the probe (target 0.96)",
        lambda d: d["test"]["looks"]["probe"]["AUC"],
    ),
    (
        "trainability.json",
        "the same with the look-ahead (target 0.97)",
        lambda d: d["test"]["looks"]["probe with look-ahead"]["AUC"],
    ),
    (
        "trainability.json",
        "the same of check with the predicted signal (target 0.85)",
        lambda d: d["test"]["looks"]["check and signal"]["AUC"],
    ),
    (
        "trainability.json",
        "precision of errors of the probe with look-ahead (target 0.97)",
        lambda d: d["test"]["looks"]["probe with look-ahead"]["error level"]["precision"],
    ),
    (
        "trainability.json",
        "recall of faults of the initialization (target 0.9)",
        lambda d: d["test"]["looks"]["probe with look-ahead"]["error level, faults of the initialization"]["recall"],
    ),
    (
        "trainability.json",
        "false-positive rate beside it (target 0.05)",
        lambda d: d["test"]["looks"]["probe with look-ahead"]["error level"]["false-positive rate"],
    ),
    (
        "fixrate.json",
        "broken starts that some sound start mends, mended by fix (target 0.95)",
        lambda d: d["test"]["repair"]["share"],
    ),
    (
        "service.json",
        "p95 of service calls beside busy workers, ms (target 50)",
        lambda d: d["parts"]["calls"]["p95_ms"],
    ),
    (
        "sweep.json",
        "models checked by two Ray workers, times the speed of one (target 1.7)",
        lambda d: d["summary"]["times the speed"],
    ),
    ("capture.json", "torchvision models captured", lambda d: d["torchvision"]["summary"]["captured"]),
]
"""File, what was measured, where it stands; what a file does not hold is not shown."""
