"""What a process can no longer do once it is confined; each in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import environment

_SCRIPT = """
import json, os, resource, socket, sys, ctypes
from initadvisor.service.workers.confine import confine
port, folder = int(sys.argv[1]), sys.argv[2]
told = {"notes": confine(memory=3 << 30, cpu=30, written=1000, parent=os.getppid()), "nice": os.nice(0)}
try:
    socket.create_connection(("127.0.0.1", port), 5).close()
    told["network"] = "reached"
except OSError as error:
    told["network"] = type(error).__name__
try:
    bytearray(4 << 30)
    told["memory"] = "taken"
except MemoryError:
    told["memory"] = "refused"
try:
    with open(folder + "/large", "wb", buffering=0) as file:
        while file.write(b"x" * 600):
            pass
except OSError as error:
    told["written"] = os.path.getsize(folder + "/large")
told["core"] = resource.getrlimit(resource.RLIMIT_CORE)
told["oom"] = open("/proc/self/oom_score_adj").read().strip()
told["privileges"] = [line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")][0].split()[1]
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no network namespaces")
def test_a_confined_process_has_no_network_and_little_of_the_rest(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(listening.getsockname()[1]), str(tmp_path)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    told = json.loads(done.stdout)
    if not any("network" in note for note in told["notes"]):  # some containers forbid new namespaces; that is said
        assert told["network"] != "reached"
    assert told["memory"] == "refused"
    assert told["written"] == 1000
    assert told["core"] == [0, 0]
    assert (told["nice"] >= 10, told["oom"], told["privileges"]) == (True, "1000", "1")
