"""The page and the schema of the configuration say what the code does."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from initadvisor.config import find
from initadvisor.config.schema import config_schema, keys_page
from tests.test_config import FULL, TARGETS

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "configuration.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, re.S)[0]


def test_the_table_of_keys_is_current() -> None:
    written = re.findall(r"<!-- keys: .*? -->\n(.*)\n<!-- end of keys -->", PAGE, re.S)
    assert written == [keys_page().rstrip("\n")], "run: initadvisor schema --keys, and put it between the comments"


def test_the_committed_schema_is_current() -> None:
    committed = json.loads((DOCS / "config.schema.json").read_text(encoding="utf-8"))
    assert committed == config_schema(), "run: initadvisor schema --config --output-file docs/config.schema.json"


def test_the_example_of_the_page_is_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "initadvisor.toml").write_text(EXAMPLE)
    monkeypatch.chdir(tmp_path)
    config = find(tmp_path)
    assert [(t.name, t.target) for t in config.targets] == [
        ("classifier", "models/classifier.onnx"),
        ("gpt", "mypackage.models:gpt"),
    ]


def _plain(text: str) -> object:
    """What an editor sees of TOML: dates as text."""
    return json.loads(json.dumps(tomllib.loads(text), default=str))


@pytest.mark.parametrize("text", [EXAMPLE, FULL, TARGETS, "", 'targets = ["a.onnx"]'])
def test_the_schema_takes_what_the_reader_takes(text: str) -> None:
    jsonschema.validate(_plain(text), config_schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "text",
    [
        "selct = []",
        "fail-on = 'eror'",
        "targets = 3",
        "targets = [3]",
        "[targets.a]\nselect = []",
        "[targets.a]\ntarget = 'x'\ninput-shapes = [[0]]",
        "[severity]\nIA1 = 'of'",
        "[[suppress]]\nlayers = '*'",
        "[[suppress]]\nlayer = '*'\nreason = 'x'",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_plain(text), config_schema(), cls=jsonschema.Draft202012Validator)
