"""Checkpoints good and bad put into a model: each reported exactly, none executed, the file untouched."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from initadvisor import load_pretrained
from initadvisor.engine.loading_weights import put
from initadvisor.errors import FormatError, LimitError, NotFoundError, UnsafeError, UsageError
from initadvisor.frontends.options import LoadOptions

State = dict[str, torch.Tensor]


def net(classes: int = 10, channels: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, classes),
    )


def state(seed: int = 1, **options: int) -> State:
    """The state dict of a net whose every entry differs from that of another seed."""
    torch.manual_seed(seed)
    module = net(**options)
    with torch.no_grad():
        for value in module.state_dict().values():
            value.copy_(torch.randn(value.shape) if value.is_floating_point() else torch.tensor(seed))
    return {name: value.clone() for name, value in module.state_dict().items()}


def digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def same(module: nn.Module, wanted: State, leave: str = "-") -> bool:
    held = module.state_dict()
    return all(torch.equal(held[name], value) for name, value in wanted.items() if not name.startswith(leave))


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return net()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_that_fits_is_loaded_whole(model: nn.Module, tmp_path: Path, suffix: str) -> None:
    file, wanted = tmp_path / f"w{suffix}", state()
    save_file(wanted, file) if suffix == ".safetensors" else torch.save({"state_dict": wanted, "epoch": 3}, file)
    before = digest(file)
    report = load_pretrained(model, file)
    assert (report.verdict, report.covered, report.written) == ("complete", 1.0, True)
    assert [row.name for row in report.matched] == list(model.state_dict())
    assert same(model, wanted)
    assert digest(file) == before


@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone.", "_orig_mod.", "encoder."])
def test_a_wrong_prefix_is_repaired_and_said(model: nn.Module, tmp_path: Path, prefix: str) -> None:
    file, wanted = tmp_path / "w.safetensors", state()
    save_file({prefix + name: value for name, value in wanted.items()}, file)
    report = load_pretrained(model, file)
    assert report.verdict == "complete"
    assert [(row.name, row.source) for row in report.renamed] == [(name, prefix + name) for name in wanted]
    assert same(model, wanted)


def test_half_a_file_is_refused_and_each_gap_named(model: nn.Module, tmp_path: Path) -> None:
    file, wanted, before = tmp_path / "w.safetensors", state(), {n: v.clone() for n, v in model.state_dict().items()}
    half = {name: value for name, value in wanted.items() if not name.startswith(("0.", "1."))}
    save_file(half, file)
    report = put(model, file)
    assert (report.verdict, report.written) == ("partial", False)
    lacking = ["0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    assert [row.name for row in report.missing] == lacking
    elements = sum(value.numel() for name, value in wanted.items() if value.is_floating_point())
    gap = sum(wanted[name].numel() for name in lacking)
    counters = 0  # the one of the norm is absent, and the model keeps its own
    assert report.covered == pytest.approx(1 - gap / (elements + counters))
    assert same(model, before)
    with pytest.raises(FormatError, match=r"0\.weight, 1\.weight, 1\.bias, \.\.\."):
        load_pretrained(model, file)
    assert load_pretrained(model, file, strict=False).written
    assert same(model, half)
    assert torch.equal(model.state_dict()["0.weight"], before["0.weight"])


def test_another_architecture_is_never_loaded(model: nn.Module, tmp_path: Path) -> None:
    file, before = tmp_path / "w.safetensors", {n: v.clone() for n, v in model.state_dict().items()}
    other = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    save_file({f"layers.{name}": value for name, value in other.state_dict().items()}, file)
    for partial in (False, True):
        report = put(model, file, partial=partial)
        assert (report.verdict, report.written) == ("foreign", False)
    assert set(report.unexpected) == {f"layers.{name}" for name in other.state_dict()}
    assert same(model, before)
    with pytest.raises(FormatError, match="belongs to another model"):
        load_pretrained(model, file, strict=False)


def test_the_library_model_behind_a_foreign_file_is_named(model: nn.Module, tmp_path: Path) -> None:
    import torchvision

    file = tmp_path / "w.safetensors"
    save_file(torchvision.models.squeezenet1_1().state_dict(), file)
    report = put(model, file)
    assert report.verdict == "foreign"
    assert report.looks_like[0].architecture == "squeezenet1_1"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_are_converted_and_counted(model: nn.Module, tmp_path: Path, dtype: torch.dtype) -> None:
    file = tmp_path / "w.safetensors"
    stored = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state().items()}
    save_file(stored, file)
    report = load_pretrained(model, file)
    assert report.verdict == "complete"
    assert report.dtypes == {str(dtype).removeprefix("torch."): 11, "int64": 1}
    assert same(model, {name: value.to(model.state_dict()[name].dtype) for name, value in stored.items()})


def _shards(folder: Path, wanted: State) -> tuple[Path, list[Path]]:
    names = list(wanted)
    parts = [names[:5], names[5:]]
    files = [folder / f"model-0000{i + 1}-of-00002.safetensors" for i in range(2)]
    for file, part in zip(files, parts, strict=True):
        save_file({name: wanted[name] for name in part}, file)
    index = folder / "model.safetensors.index.json"
    table = {name: file.name for file, part in zip(files, parts, strict=True) for name in part}
    index.write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return index, files


def test_shards_are_read_through_their_index(model: nn.Module, tmp_path: Path) -> None:
    wanted = state()
    index, files = _shards(tmp_path, wanted)
    before = digest(index, *files)
    assert load_pretrained(model, index).verdict == "complete"
    assert same(model, wanted)
    assert digest(index, *files) == before


def test_a_lost_shard_and_a_single_one_are_said(model: nn.Module, tmp_path: Path) -> None:
    index, files = _shards(tmp_path, state())
    report = put(model, files[1])
    assert report.verdict == "partial"
    assert any("shard 2 of 2" in note for note in report.notes)
    files[0].unlink()
    with pytest.raises(NotFoundError, match="00001-of-00002"):
        put(model, index)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_a_pickle_that_would_run_code_is_not_run(model: nn.Module, tmp_path: Path) -> None:
    mark, before = tmp_path / "executed", {n: v.clone() for n, v in model.state_dict().items()}
    for file, save in (
        (tmp_path / "zip.pth", lambda held, path: torch.save(held, path)),
        (tmp_path / "plain.pth", lambda held, path: path.write_bytes(pickle.dumps(held))),
    ):
        save({**state(), "extra": Bomb(mark)}, file)
        hashed = digest(file)
        with pytest.raises(UnsafeError, match="nothing was executed"):
            load_pretrained(model, file)
        assert not mark.exists()
        assert digest(file) == hashed
    assert same(model, before)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_called_that(model: nn.Module, tmp_path: Path, suffix: str, share: float) -> None:
    file, before = tmp_path / f"w{suffix}", {n: v.clone() for n, v in model.state_dict().items()}
    save_file(state(), file) if suffix == ".safetensors" else torch.save(state(), file)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    hashed = digest(file)
    with pytest.raises((FormatError, LimitError), match=r"truncated|damaged|torch checkpoint"):
        load_pretrained(model, file)
    assert same(model, before)
    assert digest(file) == hashed


def test_a_head_for_other_classes_is_drawn_anew(tmp_path: Path) -> None:
    torch.manual_seed(0)
    file, model = tmp_path / "w.safetensors", net(classes=4)
    save_file(state(), file)
    old = model.state_dict()["9.weight"].clone()
    report = load_pretrained(model, file, seed=3)
    assert [row.name for row in report.redrawn] == ["9.weight", "9.bias"]
    drawn = model.state_dict()["9.weight"]
    assert not torch.equal(drawn, old)
    # Variance 1/fan_in is what a head is advised to have: 64 draws stay within 4 standard errors of it.
    assert abs(float(drawn.var()) * 16 - 1) < 4 * (2 / 64) ** 0.5
    assert float(model.state_dict()["9.bias"].abs().max()) == 0.0
    again = net(classes=4)
    load_pretrained(again, file, seed=3)
    assert torch.equal(again.state_dict()["9.weight"], drawn)


def test_a_stem_takes_other_channels(tmp_path: Path) -> None:
    file, wanted, model = tmp_path / "w.safetensors", state(), net(channels=1)
    save_file(wanted, file)
    report = load_pretrained(model, file)
    assert [row.name for row in report.adapted] == ["0.weight"]
    torch.testing.assert_close(model.state_dict()["0.weight"], wanted["0.weight"].sum(1, keepdim=True))


def test_positions_take_another_grid(tmp_path: Path) -> None:
    import torchvision

    small, large = (torchvision.models.VisionTransformer(side, 8, 1, 2, 16, 32, num_classes=3) for side in (32, 64))
    file = tmp_path / "w.safetensors"
    save_file(small.state_dict(), file)
    report = load_pretrained(large, file)
    assert [row.name for row in report.adapted] == ["encoder.pos_embedding"]
    assert torch.equal(large.encoder.pos_embedding[:, 0], small.encoder.pos_embedding[:, 0])


def test_quantised_weights_are_not_taken_for_weights(model: nn.Module, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file({**state(), "3.weight": torch.ones(16, 8, 3, 3, dtype=torch.int8)}, file)
    report = put(model, file)
    assert report.verdict == "partial"
    assert [(row.name, "int8" in row.reason) for row in report.mismatched] == [("3.weight", True)]


def test_values_that_are_not_finite_are_counted(model: nn.Module, tmp_path: Path) -> None:
    file, wanted = tmp_path / "w.safetensors", state()
    wanted["3.bias"][:3] = float("nan")
    save_file(wanted, file)
    assert "3.bias holds 3 NaN or infinite values" in load_pretrained(model, file).notes


def test_a_tied_embedding_is_no_head_to_draw(tmp_path: Path) -> None:
    class Language(nn.Module):
        def __init__(self, words: int) -> None:
            super().__init__()
            self.embedding, self.hidden, self.out = nn.Embedding(words, 8), nn.Linear(8, 8), nn.Linear(8, words, False)
            self.out.weight = self.embedding.weight

        def forward(self, words: torch.Tensor) -> torch.Tensor:
            return self.out(torch.relu(self.hidden(self.embedding(words))))

    file = tmp_path / "w.pth"
    torch.save(Language(20).state_dict(), file)
    example = LoadOptions(example=torch.zeros(2, 3, dtype=torch.long))
    assert put(Language(20), file, load=example).verdict == "complete"
    report = put(Language(30), file, load=example)
    assert {row.name for row in report.mismatched} == {"embedding.weight", "out.weight"}
    assert report.redrawn == ()


@pytest.mark.parametrize(
    ("make", "said"),
    [(lambda folder: folder / "none.pth", "there is no file"), (lambda folder: folder / "m.onnx", "not a checkpoint")],
)
def test_what_is_no_checkpoint_is_an_error(
    model: nn.Module, tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    with pytest.raises((NotFoundError, UsageError), match=said):
        load_pretrained(model, make(tmp_path))


def test_the_file_of_a_deeper_model_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    def stack(depth: int) -> nn.Module:
        blocks = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(depth)))
        return nn.Sequential(nn.Linear(4, 8), blocks, nn.Linear(8, 2))

    file, model = tmp_path / "w.safetensors", stack(2)
    save_file(stack(5).state_dict(), file)
    report = put(model, file)
    assert (report.verdict, report.covered, report.written) == ("partial", 1.0, False)
    assert any("3 weights of the file repeat blocks" in note for note in report.notes)
    with pytest.raises(FormatError, match="deeper"):
        load_pretrained(model, file)
    assert load_pretrained(model, file, strict=False).written
