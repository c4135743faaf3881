"""One model in a process of its own, with limits on time and memory."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]

CPU_SECONDS = 60
"""Processor seconds for one model, building included."""

WALL_SECONDS = 600
"""Seconds by the clock after which a model that waits for something is given up."""

BYTES = 8 << 30
"""Memory that one model may take."""

WHOLE = ("virtual", "parts")
"""Steps of the ladder that record every operator; "parts" is for containers without a forward pass of their own."""


def warm() -> None:
    """Import and run once what every model needs, so that a forked process starts from there."""
    import torch

    from initadvisor.frontends.torch_module import load

    load(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU()))
    load(torch.nn.TransformerEncoderLayer(8, 2))
    gc.collect()
    gc.freeze()


def measured(configurations: Iterator[Callable[[], Any]]) -> Row:
    """Build and capture one model in a fork of this process; a model that ends it is a row as well."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS + 30, CPU_SECONDS + 40))
        os.write(writing, json.dumps(_row(configurations)).encode())
        sys.stderr.flush()
        os._exit(0)
    os.close(writing)
    text, waited = b"", 0.0
    while waited < WALL_SECONDS:  # counted in waits, so that a stopped benchmark does not run out of time
        if select.select([reading], [], [], 1.0)[0]:
            piece = os.read(reading, 1 << 16)
            if not piece:
                break
            text += piece
        else:
            waited += 1.0
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    try:
        row: Row = json.loads(text)
    except ValueError:
        code = os.waitstatus_to_exitcode(status)
        late = waited >= WALL_SECONDS or code == -signal.SIGXCPU
        row = {"capture": "timeout" if late else "crash", "error": f"the process ended with {code}"}
    return row


def _row(configurations: Iterator[Callable[[], Any]]) -> Row:
    """The first configuration that can be recorded counts."""
    from initadvisor.frontends.torch_module import load

    row: Row = {"capture": "not built", "error": "there is no configuration to build it from"}
    built = False
    with _alarm(), contextlib.redirect_stdout(sys.stderr):
        try:
            for build in configurations:
                try:
                    module = _built(build)
                except Exception as error:
                    if not built:
                        row = {"capture": "not built", "error": _said(error)}
                    continue
                built = True
                before = _resident(reset=True)
                start = time.process_time()
                graph = load(module)
                row = _facts(graph, time.process_time() - start, _resident() - before)
                if graph.coverage.capture in WHOLE:
                    break
        except TimeoutError:  # an earlier configuration may have told more
            row = row if built and "operators" in row else {"capture": "timeout", "error": f"more than {CPU_SECONDS} s"}
        except Exception as error:
            row = {"capture": "crash", "error": _said(error)}
    return row


def _built(build: Callable[[], Any]) -> Any:
    """The model without drawn weights: capture does not read them."""
    from initadvisor.frontends.torch_module.building import Weightless

    try:
        with Weightless():
            return build()
    except (NotImplementedError, RuntimeError):  # the model computes with large tensors while it is built
        return build()


def _facts(graph: Any, seconds: float, megabytes: float) -> Row:
    used = {v.parameter for v in graph.values if v.parameter}
    weights = [p for p in graph.parameters.values() if p.is_float and not p.buffer]
    row: Row = {
        "capture": graph.coverage.capture,
        "operators": len(graph.nodes),
        "weights": len(weights),
        "unused": sum(p.name not in used for p in weights),
        "opaque": sum(graph.coverage.opaque.values()),
        "guesses": sum(e.kind in ("guess", "kernel") for e in graph.events),
        "seconds": round(seconds, 3),
        "megabytes": round(megabytes, 1),
    }
    if graph.coverage.capture not in WHOLE:
        row["error"] = " | ".join(_portable(note)[:220] for note in graph.coverage.notes[:2])
    return row


def _said(error: BaseException) -> str:
    return _portable(f"{type(error).__name__}: {' '.join(str(error).split())}")[:240]


def _portable(text: str) -> str:
    """Without the folders that lead to the installed packages."""
    return re.sub(r"/\S*/site-packages/", "", text)


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    """Raise TimeoutError once the processor time is used up, in the code that uses it."""

    def ring(number: int, frame: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _resident(reset: bool = False) -> float:
    """Peak resident megabytes since the last reset (Linux)."""
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0
