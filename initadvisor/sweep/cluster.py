"""The way to a Ray cluster: one that runs already, or one on this machine that ends with us."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from initadvisor.errors import MissingExtraError, UsageError


def ray_module() -> Any:
    """Ray, quiet and without telemetry; raises MissingExtraError."""
    # A check of somebody's models is nobody else's business: Ray reports usage unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--engine ray", "ray") from error
    return ray


START_TRIES = 4
"""From 2.54 on Ray gives its own agents 15 s to start, whatever it is told (ray-project/ray#65983): on a busy machine
that takes more than one try."""


@contextlib.contextmanager
def connected(address: str | None, cpus: int | None) -> Iterator[Any]:
    """Ray, connected; what this call has opened, it closes.

    address: of a running cluster, as `ray.init` takes it ("auto" for the one that runs here); else RAY_ADDRESS says
    it; without either, a cluster of `cpus` workers is started on this machine (None: of all its cores).
    Raises UsageError where the cluster cannot be reached or started.
    """
    ray = ray_module()
    opened = not ray.is_initialized()
    if opened:
        place = address or os.environ.get("RAY_ADDRESS")
        _open(ray, place, cpus)
    try:
        yield ray
    finally:
        if opened:
            ray.shutdown()


def _open(ray: Any, place: str | None, cpus: int | None) -> None:
    own: dict[str, Any] = {"address": place} if place else {"num_cpus": cpus, "include_dashboard": False}
    what = f"the Ray cluster at {place} cannot be reached" if place else "no Ray cluster could be started here"
    for left in reversed(range(1 if place else START_TRIES)):
        try:
            ray.init(**own, log_to_driver=False, logging_level="ERROR")
        except Exception as error:
            ray.shutdown()
            _clear_away(error)
            if not left:
                text = " ".join(str(error).split())[:300]
                hint = None if place else "the machine is too busy for it, or start a cluster with ray start --head"
                raise UsageError(f"{what}: {type(error).__name__}: {text}", hint=hint) from error
        else:
            return


def _clear_away(error: BaseException) -> None:
    """End what a failed start has left running until our own end, as it would hold up the next try."""
    trace = error.__traceback__
    while trace is not None:
        node: Any = trace.tb_frame.f_locals.get("self")
        if type(node).__name__ == "Node" and hasattr(node, "kill_all_processes"):
            with contextlib.suppress(Exception):
                node.kill_all_processes(check_alive=False, allow_graceful=False)
        trace = trace.tb_next
