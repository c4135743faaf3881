"""A server among strangers: nothing is run, nothing leaks, nothing is left behind, and it stays up."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import socket
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from initadvisor.errors import UsageError
from initadvisor.service import uploads
from initadvisor.service.access import COOKIE, Access
from initadvisor.service.settings import ServiceSettings
from tests.integration.test_bad_input import BAD
from tests.service import models
from tests.service.running import LIGHT, OCTETS, ServerHere, ended, give

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerHere]:
    """A server with a token, little patience and a short queue."""
    data = tmp_path_factory.mktemp("guarded") / "data"
    patience = {"header_seconds": 1.0, "idle_seconds": 1.0}
    limits = {"max_upload": 2 << 20, "max_queue": 3, "allowed_hosts": ("checks.example",)}
    server = ServerHere(data, tokens=(TOKEN,), **patience, **limits).start()
    yield server
    assert server.alive
    server.stop()
    log = server.log.read_text()
    assert TOKEN not in log
    assert "Traceback" not in log, log


def _quiet(server: ServerHere) -> None:
    """Nothing half-arrived is left."""
    until = time.monotonic() + 5
    while any((server.data / "arriving").iterdir()) and time.monotonic() < until:
        time.sleep(0.02)
    assert not list((server.data / "arriving").iterdir())


def _raw(server: ServerHere, *pieces: bytes, pause: float = 0.0, close: bool = False) -> bytes:
    """What comes back for bytes sent as they are."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as link:
        for piece in pieces:
            link.sendall(piece)
            time.sleep(pause)
        if close:
            link.shutdown(socket.SHUT_WR)
        back = b""
        try:
            while chunk := link.recv(65536):
                back += chunk
        except ConnectionResetError:
            pass
    return back


def _post(server: ServerHere, *headers: str, path: str = "/v1/checks") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {TOKEN}",
        "Content-Type: application/octet-stream",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# Files


@pytest.mark.parametrize("name", [name for name, make in BAD.items() if "factory" not in name and "module" not in name])
def test_bad_files_are_answered_and_cost_nothing(server: ServerHere, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / BAD[name](folder)
    with server.client() as client:
        if not file.is_file() or not file.stat().st_size or file.suffix == ".pt":
            answer = client.post(
                "/v1/checks",
                params={"file": file.name},
                content=b"" if not file.is_file() else file.read_bytes(),
                headers=OCTETS,
            )
            assert answer.status_code in (415, 422)
            return
        check = ended(client, give(client, file.read_bytes(), file=file.name)["id"])
        assert (check["status"], check["verdict"], check["attempt"]) == ("done", "not_checked", 1)
        text = client.get(f"/v1/checks/{check['id']}/report").text
        assert str(server.data) not in text
        assert not (server.data / "jobs" / check["id"]).exists()


def test_bombs_are_not_unpacked(server: ServerHere) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", bytes(200 << 20))
    packed = gzip.compress(bytes(100 << 20))
    with server.client() as client:
        for content in (bomb.getvalue(), packed):
            check = ended(client, give(client, content, file="bomb.onnx")["id"])
            assert check["verdict"] == "not_checked"
        coded = client.post("/v1/checks", content=packed, headers={**OCTETS, "content-encoding": "gzip"})
        assert coded.status_code == 415


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("../../etc/passwd.onnx", "passwd.onnx"),
        ("/abs/olute.onnx", "olute.onnx"),
        ("C:\\dir\\..\\x.onnx", "x.onnx"),
        ("..onnx", "model.onnx"),
        (".hidden.onnx", "hidden.onnx"),
        ("a b;rm -rf $(x)`y`|z.onnx", "a_b_rm_-rf_x_y_z.onnx"),
        ("<script>alert(1)<.onnx", "script_alert_1.onnx"),
        ("x" * 190 + ".onnx", "x" * 100 + ".onnx"),
        ("Ünïcode.SAFETENSORS", "Ünïcode.safetensors"),
        ("漢" * 190 + ".onnx", "漢" * 66 + ".onnx"),
        ("𝔵" * 99 + ".safetensors", "𝔵" * 50 + ".safetensors"),
    ],
)
def test_names_of_files_are_one_plain_component(server: ServerHere, given: str, stored: str) -> None:
    with server.client() as client:
        assert give(client, file=given)["file"] == stored


@pytest.mark.parametrize("given", ["x.pt", "x.pkl", "x.pt2", "x.onnx.zip", "x", "x\n.onnx", "x\u202e.onnx", "n" * 201])
def test_other_kinds_of_file_and_odd_names_are_refused(server: ServerHere, given: str) -> None:
    with server.client() as client:
        answer = client.post("/v1/checks", content=LIGHT, params={"file": given}, headers=OCTETS)
        assert answer.status_code in (415, 422)
        assert answer.headers["content-type"] == "application/problem+json"


def test_script_in_a_layer_name_is_data(server: ServerHere) -> None:
    name = "</script><img src=x onerror=alert(1)>"
    with server.client() as client:
        check = ended(client, give(client, models.script(name))["id"])
        answer = client.get(f"/v1/checks/{check['id']}/report", headers={"accept": "application/json"})
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert name in [layer["weight"] for layer in answer.json()["layers"]]


# Bodies


def test_a_body_over_the_cap_is_refused_however_it_comes(guarded: ServerHere) -> None:
    declared = _raw(guarded, _post(guarded, f"Content-Length: {3 << 20}"))
    assert declared.startswith(b"HTTP/1.1 413 ")
    piece = b"%x\r\n%s\r\n" % (1 << 20, bytes(1 << 20))
    chunked = _raw(guarded, _post(guarded, "Transfer-Encoding: chunked"), piece, piece, piece)
    assert chunked.startswith(b"HTTP/1.1 413 ") or not chunked  # or the connection was reset under the upload
    _quiet(guarded)


def test_a_disk_that_fills_up_is_said(guarded: ServerHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "SPARE", 1 << 60)  # more than any disk has left
    back = _raw(guarded, _post(guarded, "Content-Length: 5000"))
    assert back.startswith(b"HTTP/1.1 507 ")
    assert b"retry-after: 60" in back.lower()
    _quiet(guarded)


def test_a_chunked_body_is_taken(guarded: ServerHere) -> None:
    with guarded.client() as client:
        answer = client.post("/v1/checks", content=iter([LIGHT[:5000], LIGHT[5000:]]), headers=OCTETS)
        assert answer.status_code == 202
        assert ended(client, answer.json()["id"])["verdict"] == "findings"


def test_a_body_shorter_than_declared_leaves_nothing(guarded: ServerHere) -> None:
    back = _raw(guarded, _post(guarded, "Content-Length: 5000"), b"x" * 1000, close=True)
    assert b" 202 " not in back
    _quiet(guarded)


def test_a_body_longer_than_declared_is_no_second_request(guarded: ServerHere) -> None:
    back = _raw(guarded, _post(guarded, "Content-Length: 10"), b"x" * 5000, close=True)
    assert back.count(b"HTTP/1.1 ") <= 2
    assert b"HTTP/1.1 202 " not in back.partition(b"HTTP/1.1 ")[2].partition(b"HTTP/1.1 ")[2]


def test_a_slow_body_is_not_waited_for(guarded: ServerHere) -> None:
    began = time.monotonic()
    back = _raw(guarded, _post(guarded, "Content-Length: 5000"), b"x")
    assert back.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in back
    assert time.monotonic() - began < 10
    _quiet(guarded)


def test_a_slow_head_is_not_waited_for(guarded: ServerHere) -> None:
    for start in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "):
        began = time.monotonic()
        assert _raw(guarded, start) == b""
        assert 0.5 < time.monotonic() - began < 10


def test_a_head_that_drips_is_not_waited_for(guarded: ServerHere) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", guarded.port), 20) as link:
        link.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(OSError):  # reset or broken pipe, as the system has it
            while time.monotonic() - began < 15:
                link.sendall(b"X: y\r\n")
                time.sleep(0.2)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST /v1/checks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/checks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/checks HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET  / HTTP/9.9\r\n\r\n",
    ],
)
def test_nonsense_is_a_bad_request(guarded: ServerHere, head: bytes) -> None:
    back = _raw(guarded, head, close=True)
    status, _, rest = back.partition(b"\r\n")
    assert status.split()[1] in (b"400", b"421", b"431", b"414"), back
    assert json.loads(rest.partition(b"\r\n\r\n")[2])["status"] >= 400
    assert b"Traceback" not in back


@pytest.mark.parametrize(
    "path",
    ["/static/../../settings.py", "/static/%2e%2e/%2e%2e/app.py", "/static//etc/passwd", "/static/%00", "/..%2f.."],
)
def test_paths_lead_to_nothing_outside(guarded: ServerHere, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    back = _raw(guarded, request.encode())
    assert b"HTTP/1.1 404 " in back
    assert b"import" not in back


@pytest.mark.parametrize("place", ["/rules/", "/checks/", "/static/", "/"])
def test_pages_do_not_repeat_what_an_address_says(guarded: ServerHere, place: str) -> None:
    with guarded.client() as client:
        answer = client.get(f"{place}Call-5550100-now", headers={"accept": "text/html"})
        assert answer.status_code in (404, 422)
        assert answer.headers["content-type"].startswith("text/html")
        assert "5550100" not in answer.text


# Who may come in


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer " + "\u00e9" * 30},
        {"cookie": f"{COOKIE}=9999999999.00.{'0' * 64}"},
        {"cookie": f"{COOKIE}={TOKEN}"},
    ],
)
def test_without_the_token_nothing_is_told(guarded: ServerHere, headers: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in (("GET", "/v1/checks"), ("GET", "/metrics"), ("POST", "/v1/checks"), ("GET", "/v1/none")):
        answer = httpx.request(method, f"{guarded.url}{path}", headers=raw)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{guarded.url}/healthz").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("checks.example", 200),
        ("CHECKS.example:80", 200),
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8765", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("checks.example.evil", 421),
        ("", 421),
    ],
)
def test_only_its_own_names_are_answered(guarded: ServerHere, host: str, status: int) -> None:
    with guarded.client() as client:
        assert client.get("/v1/rules", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://127.0.0.1:x]@["},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_requests_from_other_sites_are_refused(server: ServerHere, headers: dict[str, str], done: dict) -> None:
    with server.client() as client:
        for method, path in (("POST", "/v1/checks"), ("DELETE", f"/v1/checks/{done['id']}")):
            answer = client.request(method, path, content=LIGHT, headers={**OCTETS, **headers})
            assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]
        own = client.post("/v1/checks", content=LIGHT, headers={**OCTETS, "origin": server.url})
        assert own.status_code == 202


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded"])
def test_forms_are_not_taken(server: ServerHere, kind: str) -> None:
    with server.client() as client:
        assert client.post("/v1/checks", content=LIGHT, headers={"content-type": kind}).status_code == 415


def test_a_full_queue_asks_to_come_back(guarded: ServerHere) -> None:
    with guarded.client() as client:
        given = []
        for _ in range(12):
            answer = client.post("/v1/checks", content=models.slow(), headers=OCTETS)
            if answer.status_code == 429:
                break
            given.append(answer.json()["id"])
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == "application/problem+json"
        assert 3 <= len(given) <= 6
        for check_id in given:
            client.post(f"/v1/checks/{check_id}/cancel")
        assert {client.get(f"/v1/checks/{each}").json()["status"] for each in given} <= {"cancelled", "done"}
        again = ended(client, give(client)["id"])
        assert again["status"] == "done"
        deadline = time.monotonic() + 10
        while guarded.workers() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not guarded.workers()


# Before it listens


def test_it_does_not_listen_to_everyone_without_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(UsageError, match="token"):
            ServiceSettings(data_dir=tmp_path, host=host)
    ServiceSettings(data_dir=tmp_path, host="0.0.0.0", tokens=(TOKEN,))
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        ServiceSettings(data_dir=tmp_path, host=host)
    with pytest.raises(UsageError, match="16"):
        ServiceSettings(data_dir=tmp_path, tokens=("short",))


def test_sessions_are_signed_and_end() -> None:
    access = Access((TOKEN, "another-token-of-length"))
    session = access.session()
    assert access.admits({}, {COOKIE: session})
    assert not Access((TOKEN,)).admits({}, {COOKIE: session})  # another set of tokens
    body, _, signature = session.rpartition(".")
    later = f"{int(body.split('.')[0]) + 1}.{body.split('.')[1]}.{signature}"
    assert not access.admits({}, {COOKIE: later})
    assert not access.admits({}, {COOKIE: "\u00e9"})
    old = f"1000.{'0' * 32}"
    assert not access.admits({}, {COOKIE: f"{old}.{access._sign(old)}"})
    assert access.token_fits("another-token-of-length")
    assert TOKEN not in session
