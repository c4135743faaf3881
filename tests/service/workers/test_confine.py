"""What a process can no longer do once it is confined; each in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from initadvisor.service.workers import landlock
from tests.cli.running import environment

_SCRIPT = """
import json, os, resource, socket, sys, ctypes
from initadvisor.service.workers.confine import confine
port, folder, other = int(sys.argv[1]), sys.argv[2], sys.argv[3]
limits = {"memory": 3 << 30, "cpu": 30, "written": 1000, "parent": os.getppid()}
notes = confine(**limits, readable=(folder + "/in",), writable=(folder + "/out",))
told = {"notes": notes, "nice": os.nice(0), "refused": [], "allowed": []}
for name, flags in (
    (folder + "/in/model", os.O_RDONLY),
    (folder + "/out/new", os.O_WRONLY | os.O_CREAT),
    (json.__file__, os.O_RDONLY),
    (folder + "/in/model", os.O_WRONLY),
    (folder + "/in/new", os.O_WRONLY | os.O_CREAT),
    (folder + "/secret", os.O_RDONLY),
    (folder + "/out/../secret", os.O_RDONLY),
    (folder, os.O_RDONLY),
    (folder + "/out/link", os.O_RDONLY),
    (f"/proc/{other}/environ", os.O_RDONLY),
    ("/tmp/new", os.O_WRONLY | os.O_CREAT),
    ("/etc/new", os.O_WRONLY | os.O_CREAT),
):
    try:
        os.close(os.open(name, flags))
        told["allowed"].append(name)
    except OSError as error:
        told["refused"].append(name)
try:
    os.kill(int(other), 0)
    told["signal"] = "sent"
except OSError as error:
    told["signal"] = type(error).__name__
import tempfile
told["temporary"] = tempfile.gettempdir()
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
    with open(folder + "/out/large", "wb", buffering=0) as file:
        while file.write(b"x" * 600):
            pass
except OSError as error:
    told["written"] = os.path.getsize(folder + "/out/large")
told["core"] = resource.getrlimit(resource.RLIMIT_CORE)
told["oom"] = open("/proc/self/oom_score_adj").read().strip()
status = dict(line.strip("\\n").split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
told["privileges"] = status["NoNewPrivs"]
told["capabilities"] = [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh")]
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no network namespaces")
def test_a_confined_process_has_no_network_and_little_of_the_rest(tmp_path: Path) -> None:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    for file in ("secret", "in/model"):
        (tmp_path / file).write_text("x")
    (tmp_path / "out" / "link").symlink_to(tmp_path / "secret")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"SECRET": "1"})
    with other, socket.create_server(("127.0.0.1", 0)) as listening:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(listening.getsockname()[1]), str(tmp_path), str(other.pid)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        other.communicate(b"\n")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if not any("network" in note for note in told["notes"]):  # some containers forbid new namespaces; that is said
        assert told["network"] != "reached"
    if not any("files" in note for note in told["notes"]):  # an old kernel; that is said
        mine = {str(tmp_path / "in/model"), str(tmp_path / "out/new"), json.__file__}
        assert set(told["allowed"]) == mine
        assert len(told["refused"]) == 9
        assert not Path("/tmp/new").exists()
    if landlock.version() >= 6:
        assert told["signal"] == "PermissionError"
        assert told["network"] != "reached"
    assert told["temporary"] == str(tmp_path / "out")
    assert told["capabilities"] == [0, 0, 0]
    assert told["memory"] == "refused"
    assert told["written"] == 1000
    assert told["core"] == [0, 0]
    assert (told["nice"] >= 10, told["oom"], told["privileges"]) == (True, "1000", "1")
