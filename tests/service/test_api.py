"""The API from outside: a file goes in, a report comes out, in each form, and can be found again."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from initadvisor.engine import Checker
from initadvisor.report import FORMATS, Report
from initadvisor.report.html.page import policy as own_policy
from tests.integration.light_graphs import path_of
from tests.service.running import LIGHT, OCTETS, ended, give


def test_the_report_of_an_upload_is_that_of_the_engine(client: httpx.Client, done: dict) -> None:
    assert done["status"] == "done"
    assert done["failure"] is None
    assert (done["model"], done["commit"], done["file"]) == ("squeeze", "c0ffee", "light.onnx")
    report = Report.model_validate(client.get(f"/v1/checks/{done['id']}/report").json())
    mine = Checker().check(str(path_of("light_squeezenet")))
    assert report.target == "light.onnx"
    assert report.findings
    assert {f.fingerprint for f in report.findings} == {f.fingerprint for f in mine.findings}
    assert report.layers == mine.layers
    assert report.summary.model_dump() == done["summary"]
    assert set(done["rules"]) == {f.rule for f in report.findings}


@pytest.mark.parametrize(
    ("query", "accept", "media"),
    [
        ({}, None, "application/json"),
        ({}, "*/*", "application/json"),
        ({}, "application/sarif+json", "application/sarif+json"),
        ({}, "text/markdown;q=0.9, application/json;q=0.1", "text/markdown"),
        ({}, "text/*, application/json;q=0.5", "text/markdown"),
        ({"format": "sarif"}, "application/json", "application/sarif+json"),
        ({"format": "junit"}, None, "application/xml"),
    ],
)
def test_a_report_comes_in_the_form_that_is_asked_for(
    client: httpx.Client, done: dict, query: dict, accept: str | None, media: str
) -> None:
    headers = {"accept": accept} if accept else {}
    if media == "text/markdown" and "html" in FORMATS and accept == "text/*, application/json;q=0.5":
        media = "text/html"  # the first of the texts
    answer = client.get(f"/v1/checks/{done['id']}/report", params=query, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == media
    if "json" in media:
        body = answer.json()
        assert body.get("version", body.get("schema_version")) in ("1", "2.1.0")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_the_command_line_is_served(client: httpx.Client, done: dict, name: str) -> None:
    answer = client.get(f"/v1/checks/{done['id']}/report", params={"format": name})
    assert answer.status_code == 200
    assert str(client.base_url) not in answer.text
    assert "IA004" in answer.text


def test_the_policy_of_a_report_owes_nothing_to_what_is_in_it(client: httpx.Client, done: dict) -> None:
    policy = client.get(f"/v1/checks/{done['id']}/report", params={"format": "html"}).headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "unsafe" not in policy
    assert own_policy() in policy  # that of the page's own sources, made before any report is


def test_json_is_sent_packed_only_to_those_who_take_it(client: httpx.Client, done: dict) -> None:
    path = f"/v1/checks/{done['id']}/report"
    plain = client.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", path, headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        raw = b"".join(packed.iter_raw())
    assert json.loads(gzip.decompress(raw)) == plain.json()


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [({"format": "docx"}, {}, 422), ({}, {"accept": "image/png"}, 406), ({}, {"accept": "application/json;q=0"}, 406)],
)
def test_a_form_that_is_not_there_is_a_problem(
    client: httpx.Client, done: dict, query: dict, headers: dict, status: int
) -> None:
    answer = client.get(f"/v1/checks/{done['id']}/report", params=query, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_cannot_be_read_is_a_report_that_says_so(client: httpx.Client) -> None:
    check = ended(client, give(client, b"# a readme, not a model\n")["id"])
    assert (check["status"], check["verdict"], check["failure"]) == ("done", "not_checked", None)
    report = Report.model_validate(client.get(f"/v1/checks/{check['id']}/report").json())
    assert report.error is not None
    assert report.error.kind == "FormatError"
    assert "/" not in report.error.message  # no path of the server


def test_a_registered_model_is_checked_by_name(client: httpx.Client) -> None:
    answer = client.post("/v1/checks", json={"reference": "zf"}, params={"commit": "1"})
    assert answer.status_code == 202
    check = ended(client, answer.json()["id"])
    assert (check["status"], check["verdict"], check["model"], check["size"]) == ("done", "findings", "zf", 0)
    text = client.get(f"/v1/checks/{check['id']}/report").text
    assert json.loads(text)["target"] == "zf"


@pytest.mark.parametrize(
    "body", [{"reference": "other"}, {"reference": "torchvision:resnet50"}, {"ref": "zf"}, [], {"reference": 3}]
)
def test_a_model_that_is_not_registered_is_refused(client: httpx.Client, body: object) -> None:
    answer = client.post("/v1/checks", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_rules_are_selected_for_one_check(client: httpx.Client) -> None:
    only = ended(client, give(client, select="IA213")["id"])
    assert only["rules"] == ["IA213"]
    none = ended(client, give(client, ignore=["IA0", "IA1", "IA213"])["id"])
    assert not set(none["rules"]) & {"IA004", "IA114", "IA213"}
    wrong = client.post("/v1/checks", content=LIGHT, headers=OCTETS, params={"select": "IA99999"})
    assert wrong.status_code == 422
    assert "IA99999" in wrong.json()["detail"]


def test_checks_are_listed_and_found(client: httpx.Client, done: dict) -> None:
    other = ended(client, give(client, model="50% of_it", commit="beef", file="squeezed.onnx")["id"])

    def ids(**query: object) -> list[str]:
        answer = client.get("/v1/checks", params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert ids(model="squeeze") == [done["id"]]
    assert ids(commit="c0ffee") == [done["id"]]
    assert ids(q="C0FF") == [done["id"]]
    assert ids(q="0% OF_") == [other["id"]]
    assert ids(q="%_%_%") == []
    assert set(ids(rule="IA004")) >= {done["id"], other["id"]}
    assert ids(rule="IA00") == []
    assert ids(model="squeeze", status="failed") == []
    assert ids(q="squeeze")[:2] == [other["id"], done["id"]] == sorted([done["id"], other["id"]], reverse=True)
    first = client.get("/v1/checks", params={"per_page": 1}).json()
    second = client.get("/v1/checks", params={"per_page": 1, "page": 2}).json()
    assert first["total"] == second["total"] >= 2
    assert first["items"][0]["id"] > second["items"][0]["id"]


def test_two_reports_are_compared(client: httpx.Client, done: dict) -> None:
    less = ended(client, give(client, model="squeeze", commit="2", ignore="IA004")["id"])
    body = client.get("/v1/compare", params={"a": done["id"], "b": less["id"]}).json()
    assert {finding["rule"] for finding in body["gone"]} == {"IA004"}
    assert body["new"] == []
    assert len(body["same"]) + len(body["gone"]) == sum(
        done["summary"][level] for level in ("error", "warning", "info")
    )
    assert body["layers"] == []
    back = client.get("/v1/compare", params={"a": less["id"], "b": done["id"]}).json()
    assert back["new"] == body["gone"]
    zf = ended(client, client.post("/v1/checks", json={"reference": "zf"}).json()["id"])
    apart = client.get("/v1/compare", params={"a": done["id"], "b": zf["id"]}).json()
    assert {layer["a"] is None for layer in apart["layers"]} == {True, False}


def test_a_check_is_deleted_with_its_report(client: httpx.Client) -> None:
    check = ended(client, give(client)["id"])
    assert client.delete(f"/v1/checks/{check['id']}").status_code == 204
    for answer in (
        client.get(f"/v1/checks/{check['id']}"),
        client.get(f"/v1/checks/{check['id']}/report"),
        client.delete(f"/v1/checks/{check['id']}"),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("no-check")


def test_an_ended_check_cannot_be_cancelled(client: httpx.Client, done: dict) -> None:
    assert client.post(f"/v1/checks/{done['id']}/cancel").status_code == 409


def test_rules_and_their_pages(client: httpx.Client) -> None:
    listed = client.get("/v1/rules").json()
    assert {"IA004", "IA101"} <= {rule["id"] for rule in listed}
    page = client.get("/v1/rules/IA101").json()
    assert page["text"].startswith("# IA101")
    assert page["summary"]
    assert client.get("/v1/rules/IA99999").status_code == 404


def test_metrics_count_what_happened(client: httpx.Client, done: dict) -> None:
    lines = client.get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values["initadvisor_jobs_accepted_total"]) >= 1
    assert float(values['initadvisor_jobs{status="done"}']) >= 1
    assert any('route="/v1/checks/{check_id}"' in name for name in values)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/none", 404),
        ("DELETE", "/healthz", 405),
        ("GET", "/v1/checks/not-an-id", 422),
        ("GET", f"/v1/checks/{'0' * 32}", 404),
        ("GET", "/v1/checks?page=0", 422),
        ("GET", "/v1/checks?status=lost", 422),
        ("GET", "/v1/checks?model=%00", 422),
        ("GET", "/v1/compare?a=1", 422),
        ("PUT", "/v1/checks", 405),
    ],
)
def test_every_error_is_a_problem(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    if status == 405:
        assert answer.headers["allow"]


def test_the_openapi_document_names_every_call(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert {"/v1/checks", "/v1/checks/{check_id}", "/v1/checks/{check_id}/report", "/v1/compare", "/v1/rules"} <= set(
        document["paths"]
    )
    assert "application/octet-stream" in document["paths"]["/v1/checks"]["post"]["requestBody"]["content"]
