"""References to code: factories are imported from the working directory, errors name the user's line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from initadvisor.errors import FormatError, NotFoundError, TargetCodeError
from initadvisor.frontends import LoadOptions, load
from initadvisor.frontends.references import build

FACTORIES = """
import torch
from torch import nn

print("imported")

def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

def raises():
    value = {}
    return value["missing"]

def exits():
    raise SystemExit(3)

def number():
    return 3

ready = mlp()
constant = 4

class Holder:
    @staticmethod
    def make():
        return mlp()

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        raise ValueError("in forward")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "user_models_of_the_tests.py").write_text(FACTORIES)
    (tmp_path / "user_broken_of_the_tests.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "user_syntax_of_the_tests.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["mlp", "ready", "Holder.make"])
def test_factories_modules_and_nested_names(project: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    graph = load(f"user_models_of_the_tests:{name}")
    assert [n.op for n in graph.nodes] == ["linear", "relu", "linear"]
    assert graph.target == f"user_models_of_the_tests:{name}"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("user_models_of_the_tests:mpl", NotFoundError, "did you mean 'mlp'"),
        ("user_model_of_the_tests:mlp", NotFoundError, "user_models_of_the_tests"),
        (
            "user_models_of_the_tests:raises",
            TargetCodeError,
            r"KeyError: 'missing' at .*user_models_of_the_tests.py:12",
        ),
        ("user_models_of_the_tests:exits", TargetCodeError, "SystemExit"),
        ("user_models_of_the_tests:number", FormatError, "int"),
        ("user_models_of_the_tests:constant", FormatError, "int"),
        ("user_broken_of_the_tests:mlp", TargetCodeError, "nothing_of_that_name"),
        ("user_syntax_of_the_tests:f", TargetCodeError, "SyntaxError"),
        ("torchvision:resnet5", NotFoundError, "resnet50"),
        ("timm:resnet_50", NotFoundError, "resnet50"),
        ("hf:LlamaForCausalML", NotFoundError, "LlamaForCausalLM"),
        ("hf:nobody/nothing", NotFoundError, r"nothing is downloaded \(fetch it first: \"hf download nobody/nothing"),
        ("timm:", NotFoundError, "nothing after the colon"),
    ],
)
def test_what_cannot_be_built_is_one_clear_error(project: Path, target: str, error: type, text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        load(target)
    assert "\n" not in str(caught.value)


def test_a_forward_pass_that_raises_still_gives_the_layers(project: Path) -> None:
    graph = load("user_models_of_the_tests:Broken")
    assert not graph.edges
    assert any("in forward" in note and "user_models_of_the_tests.py" in note for note in graph.coverage.notes)


def test_library_weights_are_drawn_the_same_every_time_and_leave_the_generator_alone() -> None:
    state = torch.get_rng_state()
    first, second = (build("torchvision:squeezenet1_1") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_on_request_no_weights_are_drawn() -> None:
    graph = load("torchvision:vgg11", LoadOptions(meta=True))
    assert graph.parameters["classifier.0.weight"].source is None
    assert sum(n.op == "conv" for n in graph.nodes) == 8


def test_timm_models_take_their_own_input_size() -> None:
    graph = load("timm:vit_tiny_patch16_224", LoadOptions(meta=True))
    assert graph.values[graph.inputs[0]].shape == (2, 3, 224, 224)
    assert graph.coverage.capture == "virtual"


def test_transformers_from_a_config_file_a_type_and_a_class(tmp_path: Path) -> None:
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 99, **small}
    (tmp_path / "config.json").write_text(json.dumps(config))
    graph = load(f"hf:{tmp_path}")
    assert graph.coverage.capture == "virtual"
    tied = graph.parameters["bert.embeddings.word_embeddings.weight"]
    assert tied.aliases == ("cls.predictions.decoder.weight",)
    for name in ("gpt2", "GPT2LMHeadModel"):
        assert load(f"hf:{name}", LoadOptions(meta=True)).coverage.capture == "virtual"


def test_a_file_that_is_no_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FormatError, match="config"):
        load(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "nothing-of-the-kind"}')
    with pytest.raises(FormatError, match="nothing-of-the-kind"):
        load(f"hf:{tmp_path}")
