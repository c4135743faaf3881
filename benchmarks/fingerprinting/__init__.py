"""The parts of `fingerprint.py`, one module each."""

from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results" / "fingerprint.json"

LEAST = 1000
"""Elements that a tensor must have to count."""
