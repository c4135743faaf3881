"""Every torchvision model, one timm model a family and a spread of transformers models are captured without a hint.

Weights are not drawn: capture does not read them. `benchmarks/capture.py` goes through the whole of the libraries.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import timm
import torchvision
import transformers
from timm.models import _registry

from initadvisor.frontends.torch_module import load
from initadvisor.frontends.torch_module.building import Weightless
from initadvisor.graph import Graph

FAMILIES: dict[str, str] = {}
for _name in timm.list_models():
    FAMILIES.setdefault(_registry._model_to_module[_name], _name)


def test_every_family_of_timm_has_a_model_here() -> None:
    assert set(FAMILIES) == set(timm.list_modules())


def assert_whole(graph: Graph, unused: tuple[str, ...] = ()) -> None:
    """The forward pass was recorded, every operator has a name, every weight is read."""
    assert graph.coverage.capture == "virtual", graph.coverage.notes
    assert graph.coverage.opaque == {}
    read = {graph.values[i].parameter for n in graph.nodes for i in n.inputs if i is not None}
    silent = {n for n, p in graph.parameters.items() if p.is_float and not p.buffer and n not in read}
    assert not {n for n in silent if not n.startswith(unused)} if unused else not silent


@pytest.mark.parametrize("name", torchvision.models.list_models())
def test_torchvision(name: str) -> None:
    builder = torchvision.models.get_model_builder(name)
    settings = {k: None for k in ("weights", "weights_backbone") if k in inspect.signature(builder).parameters}
    with Weightless():
        model = torchvision.models.get_model(name, **settings)
    assert_whole(load(model))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_timm_family(family: str) -> None:
    with Weightless():
        model = timm.create_model(FAMILIES[family])
    assert_whole(load(model))


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 120,
}
MODELS: dict[str, dict[str, Any]] = {
    "LlamaForCausalLM": {**SMALL, "num_key_value_heads": 2},
    "MixtralForCausalLM": {**SMALL, "num_key_value_heads": 2, "num_local_experts": 4},
    "GPT2LMHeadModel": {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 120},
    "BertForMaskedLM": SMALL,
    "DebertaV2ForSequenceClassification": SMALL,
    "T5ForConditionalGeneration": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
    "BartForConditionalGeneration": {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2},
    "ViTForImageClassification": {k: v for k, v in SMALL.items() if k != "vocab_size"},
    "Wav2Vec2ForCTC": {**SMALL, "num_hidden_layers": 2},
    "WhisperForConditionalGeneration": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
    },
    "CLIPModel": {},
    "MambaForCausalLM": {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 120},
    "SegformerForSemanticSegmentation": {},
    "DetrForObjectDetection": {"use_pretrained_backbone": False},
    "LlavaForConditionalGeneration": {},
}


@pytest.mark.parametrize("name", MODELS)
def test_transformers(name: str) -> None:
    model_class = getattr(transformers, name)
    with Weightless():
        model = model_class(model_class.config_class(**MODELS[name]))
    graph = load(model)
    assert graph.coverage.capture == "virtual", graph.coverage.notes
    (assumed,) = [e.message for e in graph.events if e.kind == "input"]
    assert "transformers" in assumed
