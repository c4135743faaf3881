"""What a pattern, a list or a glob on the command line stands for."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from initadvisor.cli.expand import expanded
from initadvisor.config import Config, NamedTarget
from initadvisor.errors import NotFoundError, UsageError

NOTHING = Config()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.onnx", "a.onnx", "a.txt", "deep/c.onnx", "deep/er/d.safetensors", "[odd].onnx"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("*.onnx", ("[odd].onnx", "a.onnx", "b.onnx")),
        ("**/*.onnx", ("[odd].onnx", "a.onnx", "b.onnx", "deep/c.onnx")),
        ("deep/**", ("deep/c.onnx", "deep/er/d.safetensors")),
        ("[ab].onnx", ("a.onnx", "b.onnx")),
        ("[odd].onnx", ("[odd].onnx",)),
        ("a.onnx", ("a.onnx",)),
        ("package.module:factory", ("package.module:factory",)),
        ("timm:resnet50", ("timm:resnet50",)),
    ],
)
def test_globs_find_model_files_and_other_targets_stay(given: str, expected: tuple[str, ...]) -> None:
    assert expanded([given], NOTHING) == expected


def test_patterns_bring_each_target_once_in_the_order_given() -> None:
    assert expanded(["b.onnx", "*.onnx", "a*.onnx"], NOTHING) == ("b.onnx", "[odd].onnx", "a.onnx")
    assert expanded(["b.onnx", "b.onnx"], NOTHING) == ("b.onnx", "b.onnx")


def test_a_name_of_the_configuration_is_no_pattern() -> None:
    config = Config(targets=(NamedTarget("all*", "a.onnx"),))
    assert expanded(["all*"], config) == ("all*",)


def test_a_list_has_comments_globs_and_references(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "models.txt").write_text("# ours\nb.onnx  # the second\n\ndeep/*.onnx\ntimm:resnet50\n", encoding="utf-8")
    assert expanded(["@models.txt"], NOTHING) == ("b.onnx", "deep/c.onnx", "timm:resnet50")
    (folder / "names").write_text("bert\norg/model\nhf:gpt2\n")
    assert expanded(["hf:@names"], NOTHING) == ("hf:bert", "hf:org/model", "hf:gpt2")
    monkeypatch.setattr(sys, "stdin", io.StringIO("a.onnx\n"))
    assert expanded(["@-"], NOTHING) == ("a.onnx",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("*.pt2", "no model file that matches"),
        ("*.txt", "none of the 2 files is a model"),
        ("@none.txt", "cannot read the list of targets none.txt: No such file"),
        ("@a.txt", "the list of targets a.txt is empty"),
        ("@lists.txt", "is named in another list"),
        ("@binary", "cannot read the list of targets binary"),
    ],
)
def test_what_means_nothing_is_said(folder: Path, given: str, said: str) -> None:
    (folder / "lists.txt").write_text("@a.txt\n")
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=said):
        expanded([given], NOTHING)


def test_patterns_over_libraries_are_their_own_names() -> None:
    import timm
    from torchvision import models

    assert expanded(["torchvision:resnet?8"], NOTHING) == ("torchvision:resnet18",)
    assert len(expanded(["torchvision:*"], NOTHING)) == len(models.list_models())
    assert expanded(["timm:resnet1*"], NOTHING) == tuple(
        f"timm:{name}" for name in sorted(timm.list_models("resnet1*"))
    )
    assert {"hf:bert", "hf:gpt2"} <= set(expanded(["hf:*"], NOTHING))
    with pytest.raises(NotFoundError, match="timm has no model that matches 'nothing"):
        expanded(["timm:nothing-*"], NOTHING)
    with pytest.raises(NotFoundError, match="names on the hub cannot be listed"):
        expanded(["hf:org/*"], NOTHING)
