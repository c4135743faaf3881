"""`initadvisor data`: what a model is fed, judged from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import here, imported, run

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _found(*args: str, cwd: Path) -> tuple[int, set[str]]:
    done = here("data", *args, "--output-format", "json", cwd=cwd)
    assert done.stdout, done.stderr
    return done.returncode, {finding["rule"] for finding in json.loads(done.stdout)["findings"]}


def test_arrays_of_a_file_are_judged_with_their_labels(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 8))
    np.savez(tmp_path / "a.npz", x=x * 1e4, y=np.arange(200) % 4)
    assert _found("a.npz", "--classes", "3", cwd=tmp_path) == (1, {"IA803", "IA811"})
    np.savez(tmp_path / "b.npz", x=x, y=np.arange(200) % 4)
    assert _found("b.npz", "--classes", "4", cwd=tmp_path) == (0, set())


def test_a_second_set_is_compared(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, shift in (("train", 0.0), ("same", 0.0), ("other", 1.0)):
        np.save(tmp_path / f"{name}.npy", rng.normal(shift, 1, (300, 4)).astype("f4"))
    assert _found("train.npy", "--validation", "same.npy", cwd=tmp_path)[1] == set()
    assert _found("train.npy", "--validation", "other.npy", cwd=tmp_path)[1] == {"IA814"}


def test_images_are_held_against_the_preprocessing_of_weights(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3)) / 255
    for name, images in (("raw", levels), ("right", (levels - MEAN) / STD), ("bgr", (levels - MEAN[::-1]) / STD[::-1])):
        np.save(tmp_path / f"{name}.npy", np.moveaxis(images, -1, 1).astype("f4"))
    weights = ("--weights", "resnet50:IMAGENET1K_V2", "--select", "IA808,IA809")
    assert _found("raw.npy", *weights, cwd=tmp_path)[1] == {"IA808"}
    assert _found("right.npy", *weights, cwd=tmp_path)[1] == set()
    assert "IA809" in _found("bgr.npy", *weights, cwd=tmp_path)[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [("resnet5:V1", "resnet50"), ("resnet50:V9", "IMAGENET1K_V2"), ("timm:no_such_net", "no weights")],
)
def test_unknown_weights_are_an_error_with_a_suggestion(tmp_path: Path, name: str, said: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 3, 8, 8)))
    done = here("data", "a.npy", "--weights", name, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_loader_of_the_users_module_is_read(tmp_path: Path) -> None:
    (tmp_path / "feeds.py").write_text(
        "import torch\n"
        "def make():\n    print('made')\n"
        "    return torch.utils.data.DataLoader([(torch.randn(8), n % 2) for n in range(64)], batch_size=16)\n"
        "def broken():\n    yield torch.randn(4, 8)\n    raise RuntimeError('disk on fire')\n"
    )
    done = run("data", "feeds:make", "--classes", "2", "--output-format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "clean"
    assert "made" in done.stderr
    done = run("data", "feeds:broken", cwd=tmp_path)
    assert done.returncode == 2
    assert "disk on fire" in done.stderr
    assert "feeds.py:7" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_read_is_not_clean(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(64, 4)))
    done = here("data", "o.npy", "a.npy", cwd=tmp_path)
    assert done.returncode == 2
    assert "pickled" in done.stderr
    assert "a.npy" in done.stdout
    assert here("data", cwd=tmp_path).returncode == 2


def test_arrays_need_no_torch(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(64, 4)))
    assert "torch" not in imported("data", "a.npy", cwd=tmp_path)
