"""Watching a training that runs: two steps out of every N, judged by the probe's rules."""

from initadvisor.integrations.watching.watch import Watch, watch

__all__ = ["Watch", "watch"]
