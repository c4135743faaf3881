"""Requests made from the OpenAPI document, most of them nonsense: no answer is a defect of the service."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.service.running import ServerHere

schemathesis = pytest.importorskip("schemathesis", reason="the fuzzer is a test dependency")


@pytest.fixture(scope="module")
def document(server: ServerHere) -> Any:
    with server.client() as client:
        return schemathesis.openapi.from_dict(client.get("/openapi.json").json())


_CALLS = (
    ("POST", "/v1/checks"),
    ("GET", "/v1/checks"),
    ("GET", "/v1/checks/{check_id}"),
    ("DELETE", "/v1/checks/{check_id}"),
    ("POST", "/v1/checks/{check_id}/cancel"),
    ("GET", "/v1/checks/{check_id}/report"),
    ("GET", "/v1/compare"),
    ("GET", "/v1/rules"),
    ("GET", "/v1/rules/{rule_id}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
)


def test_every_call_of_the_document_is_fuzzed(document: Any) -> None:
    operations = {(op.ok().method.upper(), op.ok().path) for op in document.get_all_operations()}
    assert operations == set(_CALLS)


@pytest.mark.parametrize(("method", "path"), _CALLS)
def test_no_request_brings_up_a_defect(server: ServerHere, document: Any, method: str, path: str) -> None:
    _fuzz(server, document, method, path, 6)


@pytest.mark.long
@pytest.mark.parametrize(("method", "path"), _CALLS)
def test_none_of_many_requests_brings_up_a_defect(server: ServerHere, document: Any, method: str, path: str) -> None:
    _fuzz(server, document, method, path, 150)


def _fuzz(server: ServerHere, document: Any, method: str, path: str, examples: int) -> None:
    operation = document[path][method]
    answered = 0

    with server.client() as client:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def asked(case: Any) -> None:
            nonlocal answered
            sent = case.as_transport_kwargs(base_url=server.url)
            answer = client.request(
                sent["method"],
                sent["url"],
                params=sent.get("params"),
                headers={k: v for k, v in dict(sent.get("headers") or {}).items() if _sendable(k, v)},
                json=sent.get("json"),
                content=sent.get("data") if isinstance(sent.get("data"), bytes) else None,
            )
            answered += 1
            assert answer.status_code < 500, (answer.status_code, answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"

        asked()
    assert answered >= 1


def _sendable(name: str, value: str) -> bool:
    # What a client library sends at all; heads beyond that are sent byte by byte by the tests of hostile requests.
    return bool(re.fullmatch(r"[\x21-\x7e]+", name) and re.fullmatch(r"([\x21-\x7e]([ -~]*[\x21-\x7e])?)?", value))
