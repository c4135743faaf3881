"""The Python client against real servers."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import numpy as np
import onnx
import pytest

import initadvisor
from initadvisor.engine import Checker
from initadvisor.errors import NotFoundError, ServiceError, UsageError
from initadvisor.service.client import Client
from initadvisor.service.client.address import address_of
from tests.cli.running import environment
from tests.integration.light_graphs import path_of
from tests.service import models
from tests.service.running import ServerHere, free_port

TOKEN = "the-token-of-the-client-tests"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerHere]:
    """A server with a token, small uploads and room for two jobs."""
    data = tmp_path_factory.mktemp("strict") / "data"
    server = ServerHere(data, tokens=(TOKEN,), max_upload=1 << 20, max_queue=2).start()
    yield server
    server.stop()


@contextmanager
def _answering(*answers: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a socket that gives one connection after the other these bytes, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answer in answers:
                link, _ = listening.accept()
                with (
                    contextlib.suppress(ssl.SSLError),
                    tls.wrap_socket(link, server_side=True) if tls else link as open_,
                ):
                    open_.recv(65536)
                    open_.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(10)


def test_a_file_goes_in_and_its_report_comes_out(server: ServerHere) -> None:
    client = initadvisor.Client(server.url)
    told: list[tuple] = []
    path = path_of("light_squeezenet")
    check = client.submit(path, model="by client", commit="1", progress=lambda *step: told.append(step))
    assert told[-1] == ("sending", path.stat().st_size, path.stat().st_size)
    check = client.wait(check.id, patience=60, progress=lambda *step: told.append(step))
    assert (check.status, check.model, check.commit, check.file) == ("done", "by client", "1", "light_squeezenet.onnx")
    report = client.report(check.id)
    mine = Checker().check(str(path))
    assert report.findings
    assert {f.fingerprint for f in report.findings} == {f.fingerprint for f in mine.findings}
    assert report.layers == mine.layers
    other = client.wait(client.submit(path, model="by client", commit="2", ignore=["IA004"], preview=True).id)
    found = client.list(model="by client", per_page=10)
    assert [item.id for item in found.items] == [other.id, check.id]
    assert [item.id for item in client.list(q="by cli", commit="2").items] == [other.id]
    compared = client.compare(check.id, other.id)
    assert {finding.rule for finding in compared.gone} == {"IA004"}
    client.delete(other.id)
    with pytest.raises(ServiceError, match="no check of that id") as gone:
        client.status(other.id)
    assert (gone.value.status, gone.value.kind) == (404, "no-check")


def test_a_registered_model_goes_by_its_name(server: ServerHere) -> None:
    client = Client(server.url)
    check = client.wait(client.submit(reference="zf", input_shapes=[(1, 3, 224, 224)]).id)
    assert (check.status, check.reference) == ("done", "zf")
    with pytest.raises(ServiceError, match=r"not a registered model.*--reference NAME=TARGET"):
        client.submit(reference="other")


def test_weights_beside_a_model_are_not_asked_for_where_they_cannot_be_given(
    server: ServerHere, tmp_path: Path
) -> None:
    weight = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 64)) for name in "xy"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight]
    )
    onnx.save(
        onnx.helper.make_model(graph),
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
    )
    client = Client(server.url)
    error = client.report(client.wait(client.submit(tmp_path / "m.onnx").id).id).error
    assert error is not None
    assert "external data 'm.data'" in error.message
    assert "save the model with its weights inside, or check it without a service" in error.message
    assert "copy the data file" not in error.message


def test_what_is_asked_wrongly_is_said_before_anything_is_sent(server: ServerHere, tmp_path: Path) -> None:
    client = Client(server.url)
    with pytest.raises(UsageError, match="one of them"):
        client.submit()
    with pytest.raises(NotFoundError, match=r"gone\.onnx"):
        client.submit(tmp_path / "gone.onnx")
    with pytest.raises(NotFoundError, match="directory"):
        client.submit(tmp_path)
    with pytest.raises(UsageError, match="not the id"):
        client.status("../../etc")
    with pytest.raises(ServiceError, match="IA99999") as refused:
        client.submit(path_of("light_zfnet512"), select=["IA99999"])
    assert refused.value.status == 422


@pytest.mark.parametrize("token", [None, "not-the-token-at-all"])
def test_a_refused_token_is_said(strict: ServerHere, token: str | None) -> None:
    with pytest.raises(ServiceError, match="token") as refused:
        Client(strict.url, token).list()
    assert refused.value.status == 401
    assert TOKEN not in str(refused.value)
    assert "INITADVISOR_TOKEN" in str(refused.value)


@pytest.mark.parametrize("size", [(1 << 20) + 1, 64 << 20])
def test_a_file_over_the_cap_is_said(strict: ServerHere, tmp_path: Path, size: int) -> None:
    file = tmp_path / "large.onnx"
    with file.open("wb") as opened:
        opened.truncate(size)
    sent: list[int] = []
    with pytest.raises(ServiceError, match=f"has {1 << 20} bytes at most") as refused:
        Client(strict.url, TOKEN).submit(file, progress=lambda stage, done, total: sent.append(done))
    assert (refused.value.status, refused.value.kind) == (413, "too-large")
    assert max(sent, default=0) <= 8 << 20  # it was not sent to the end


def test_a_full_queue_is_tried_again_as_asked(strict: ServerHere, tmp_path: Path) -> None:
    file = tmp_path / "slow.onnx"
    file.write_bytes(models.slow())
    client = Client(strict.url, TOKEN)
    given = []

    def fill() -> None:
        for _ in range(8):
            given.append(client.submit(file, patience=0.0))

    with pytest.raises(ServiceError, match="wait already") as full:
        fill()
    assert full.value.status == 429
    assert full.value.retry_after is not None
    assert full.value.retry_after >= 1.0
    threading.Timer(0.5, lambda: [client.cancel(check.id) for check in given]).start()
    told: list[str] = []
    began = monotonic()
    check = client.submit(path_of("light_zfnet512"), patience=60.0, progress=lambda stage, *_: told.append(stage))
    assert monotonic() - began >= 1.0  # as long as it was asked to
    assert any("place in the queue" in stage for stage in told)
    assert client.wait(check.id).status == "done"
    assert {client.status(each.id).status for each in given} <= {"cancelled", "done"}


def test_patience_ends_and_the_check_goes_on(strict: ServerHere, tmp_path: Path) -> None:
    file = tmp_path / "slow.onnx"
    file.write_bytes(models.slow())
    client = Client(strict.url, TOKEN)
    check = client.submit(file)
    with pytest.raises(ServiceError, match="not ended") as late:
        client.wait(check.id, patience=0.1)
    assert late.value.kind == "patience"
    assert client.cancel(check.id).status == "cancelled"
    with pytest.raises(ServiceError, match="ended already"):
        client.cancel(check.id)
    with pytest.raises(ServiceError, match="no report"):
        client.report(check.id)


def test_a_service_that_is_not_there_is_said() -> None:
    with pytest.raises(ServiceError, match=r"cannot be reached: Connection refused \(is it running") as away:
        Client(f"http://127.0.0.1:{free_port()}").list()
    assert away.value.status is None
    with pytest.raises(ServiceError, match="cannot be reached"):
        Client("http://no-such-host.invalid").list()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "not what this version"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\xff\xfe<html>", "not what this version"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n", "redirection"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\noops!", "HTTP status 500"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 36\r\n\r\n" + b'{"status": 403, "detail": "a\\u001b[2J"}'[:36], "403"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer as a service does"),
        (b"", "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "broke off"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000, "does not answer as a service does"),
    ],
)
def test_what_is_no_service_of_ours_is_one_line(answer: bytes, said: str) -> None:
    with _answering(answer) as url, pytest.raises(ServiceError, match=said) as refused:
        Client(url, seconds=5).list()
    assert str(refused.value).isprintable()


def test_a_problem_cannot_steer_a_terminal() -> None:
    body = b'{"status": 403, "detail": "a\\u001b[2Jb\\u202e"}'
    head = b"HTTP/1.1 403 No\r\nContent-Length: %d\r\nRetry-After: -5\r\n\r\n" % len(body)
    with _answering(head + body) as url, pytest.raises(ServiceError, match="refuses: a") as refused:
        Client(url).list()
    assert str(refused.value).isprintable()
    assert refused.value.retry_after is None


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8765", "ftp://host", "http://", "http://h:99999", "http://h/?q=1", "http://h/\r\nX: y", "http://é"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        Client(url)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(UsageError) as refused:
        Client("https://user:hunter2@host/")
    assert "hunter2" not in str(refused.value)


def test_a_token_is_in_no_text_of_an_address() -> None:
    for url, open_ in (
        ("http://127.0.0.1:1", False),
        ("http://[::1]:1", False),
        ("http://localhost", False),
        ("https://checks.example/under/", False),
        ("http://checks.example", True),
        ("http://192.168.1.5:8765", True),
    ):
        address = address_of(url, TOKEN)
        assert address.in_the_clear is open_
        assert str(address) == url.rstrip("/")
        assert TOKEN not in repr(address)
    with pytest.raises(UsageError, match="token"):
        Client("http://h", "two words")


def test_https_is_spoken_only_with_whom_the_certificate_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed here")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=t"
    named = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*made.split(), *named], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    body = b'{"items": [], "page": 1, "per_page": 50, "total": 0}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with (
        _answering(answer, tls=context) as url,
        pytest.raises(ServiceError, match=r"no secure connection.*certificate"),
    ):
        Client(url, TOKEN).list()
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with _answering(answer, tls=context) as url:
        assert Client(url, TOKEN).list().total == 0


def test_the_client_needs_neither_the_extra_nor_torch() -> None:
    code = "import sys, initadvisor.service.client; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ("torch", "fastapi", "uvicorn", "sqlalchemy", "prometheus_client", "httpx", "onnx")
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
