"""The process that workers are forked from: `python -m initadvisor.service.workers.nursery`, started by the server.

It has imported the checker and compiled the rules once, has never read a file from a stranger, and has one thread. A
worker forked from it starts in milliseconds where a new interpreter takes a second, and serves one job. The nursery
reaps them, ends those that are over time or cancelled (it alone knows that a process id is still theirs), and ends
them all when the server goes away.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from initadvisor.service.workers.confine import confine
from initadvisor.service.workers.job import LOG, run, summary
from initadvisor.service.workers.messages import Ended, Job, line, parsed

if TYPE_CHECKING:
    from initadvisor.engine import Checker

_READ = 1 << 16


@dataclass(slots=True)
class _Child:
    job: Job
    deadline: float
    why: str | None = None


class Nursery:
    """The loop over the server's wishes and the children's ends."""

    def __init__(self, checker: Checker, wishes: int, news: int) -> None:
        self._checker = checker
        self._wishes = wishes
        self._news = news
        self._children: dict[int, _Child] = {}
        self._buffer = b""

    def serve(self) -> None:
        """Until the server closes the pipe."""
        ear, mouth = os.pipe()
        for end in (ear, mouth):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
        self._tell("ready", {"threads": _threads()})
        try:
            while True:
                ready, _, _ = select.select([self._wishes, ear], [], [], self._patience())
                if ear in ready:
                    os.read(ear, _READ)
                self._reap()
                self._end_late()
                if self._wishes in ready and not self._listen():
                    return
        finally:
            for pid in self._children:
                _end(pid)

    def _patience(self) -> float | None:
        waits = [child.deadline - monotonic() for child in self._children.values() if child.why is None]
        return max(0.0, min(waits)) if waits else None

    def _listen(self) -> bool:
        got = os.read(self._wishes, _READ)
        *lines, self._buffer = (self._buffer + got).split(b"\n")
        for raw in lines:
            kind, body = parsed(raw)
            if kind == "start":
                self._start(body)
            elif kind == "kill":
                self._stop(body)
        return bool(got)

    def _start(self, job: Job) -> None:
        me = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            self._tell("ended", Ended(key=job.key, status=signal.SIGKILL))
            return
        if pid == 0:
            _live(job, self._checker, me)
        self._children[pid] = _Child(job, monotonic() + job.wall)
        self._tell("started", {"key": job.key, "pid": pid})

    def _stop(self, key: str) -> None:
        for pid, child in self._children.items():
            if child.job.key == key and child.why is None:
                child.why = "cancelled"
                _end(pid)

    def _end_late(self) -> None:
        for pid, child in self._children.items():
            if child.why is None and monotonic() >= child.deadline:
                child.why = "timeout"
                _end(pid)

    def _reap(self) -> None:
        for pid in list(self._children):
            gone, status, usage = os.wait4(pid, os.WNOHANG)
            if not gone:
                continue
            child = self._children.pop(pid)
            self._tell(
                "ended",
                Ended(
                    key=child.job.key,
                    status=status,
                    why=child.why,
                    cpu=usage.ru_utime + usage.ru_stime,
                    peak_kib=int(usage.ru_maxrss),
                ),
            )

    def _tell(self, kind: str, body: Any) -> None:
        os.write(self._news, line(kind, body))


def _live(job: Job, checker: Checker, parent: int) -> None:
    """The whole life of a worker; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        log = os.open(os.path.join(job.folder, LOG), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for number, source in enumerate((nothing, nothing, log)):
            os.dup2(source, number)
        os.closerange(3, 4096)
        os.chdir(job.inside)
        notes = confine(
            memory=job.memory,
            cpu=job.cpu,
            written=job.written,
            parent=parent,
            readable=None if job.trusted else (job.inside,),
            writable=(job.folder,),
        )
        run(job, checker, notes)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _end(pid: int) -> None:
    """End a worker and whatever it has started: it leads a group of its own, or is about to."""
    for kill, number in ((os.killpg, pid), (os.kill, pid)):
        try:
            kill(number, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def warmed(rules: dict[str, Any]) -> Checker:
    """A checker that has done everything once, on a small model of its own."""
    import tempfile
    from pathlib import Path

    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    from initadvisor.engine import Checker, CheckSettings

    # What a stranger sends is read within the bounds that data has: no pickles, no links.
    checker = Checker(CheckSettings(**rules))
    weights = [
        numpy_helper.from_array(np.random.default_rng(seed).normal(size=(16, 16)).astype(np.float32), f"w{seed}")
        for seed in range(2)
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w1"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16])
    model = helper.make_model(
        helper.make_graph(nodes, "warm", [x], [y], weights), opset_imports=[helper.make_opsetid("", 17)]
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "warm.onnx"
        file.write_bytes(model.SerializeToString())
        summary(checker.check(str(file), details=True))
    return checker


def main() -> None:
    """Read the settings of the checker from the first line of stdin, then serve."""
    # Words on stdout are the protocol's alone.
    news = os.dup(1)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides
    first = b""
    while not first.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return
        first += byte
    _, rules = parsed(first)
    try:
        checker = warmed(rules)
    except Exception as error:
        os.write(news, line("broken", f"{type(error).__name__}: {error}"))
        sys.exit(1)
    Nursery(checker, 0, news).serve()


if __name__ == "__main__":
    main()
