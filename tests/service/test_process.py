"""`initadvisor serve` as a process of its own, from its start to its end on request."""

from __future__ import annotations

from pathlib import Path

from tests.cli.running import run
from tests.service.running import LIGHT, Server

TOKEN = "the-token-of-a-process"


def test_a_server_serves_keeps_its_files_to_itself_and_stops_when_asked(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(LIGHT)
    data = tmp_path / "data"
    data.mkdir(mode=0o755)  # made by somebody else, for all to look into
    server = Server(data, token=TOKEN).start()
    words = ("check", "model.onnx", "--server", server.url, "--token-env", "MINE", "--output-format", "concise")
    there = run(*words, cwd=tmp_path, env={"MINE": TOKEN})
    assert (there.returncode, there.stderr) == (1, "")
    assert "model.onnx:conv1_w_0: IA004 " in there.stdout
    files = list(data.rglob("*"))
    assert data / "initadvisor.sqlite3" in files
    assert not [path for path in files if path.stat().st_mode & 0o077]
    assert not list((data / "jobs").iterdir())
    command = Path(f"/proc/{server.process.pid}/cmdline").read_bytes() if server.process else b""
    assert TOKEN.encode() not in command
    assert server.stop() == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert TOKEN not in log
