"""Which weights exist for a target, and which to prefer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from initadvisor import pretrained_weights
from initadvisor.engine.judgement import judgement
from initadvisor.errors import RuleError, UsageError
from initadvisor.frontends.registry import weights_of


def test_a_name_of_torchvision_gives_what_its_registry_holds() -> None:
    from torchvision import models

    report = pretrained_weights("torchvision:squeezenet1_1")
    [weights] = report.weights
    [entry] = models.get_model_weights("squeezenet1_1")
    assert weights.name == entry.name
    assert weights.url == entry.url
    assert weights.parameters == entry.meta["num_params"]
    assert weights.accuracy == {f"ImageNet-1K {k}": v for k, v in entry.meta["_metrics"]["ImageNet-1K"].items()}
    assert weights.preprocessing["size"] == [entry.transforms().crop_size[0]]
    assert tuple(weights.preprocessing["mean"]) == tuple(entry.transforms().mean)
    assert weights.trained_on == ("IMAGENET1K",)


def test_every_entry_of_the_registry_can_be_described() -> None:
    from torchvision import models

    for name in models.list_models():
        described = weights_of("torchvision", name)
        assert len(described) == len(list(models.get_model_weights(name)))
        assert all(each.url and each.accuracy and each.trained_on for each in described)


def test_a_licence_is_given_where_the_library_states_one() -> None:
    licences = {w.name: w.license for w in weights_of("torchvision", "vit_b_16")}
    assert licences["IMAGENET1K_V1"] is None
    assert "SWAG" in (licences["IMAGENET1K_SWAG_E2E_V1"] or "")
    assert {w.license for w in weights_of("timm", "resnet50") if w.name == "resnet50.a1_in1k"} == {"apache-2.0"}


def test_timm_says_what_was_trained_on_what() -> None:
    found = {w.name: w for w in weights_of("timm", "vit_base_patch16_224")}
    assert len(found) == len(weights_of("timm", "vit_base_patch16_224"))
    assert found["vit_base_patch16_224.augreg2_in21k_ft_in1k"].trained_on == ("in21k", "in1k")
    assert found["vit_base_patch16_224.mae"].license == "cc-by-nc-4.0"
    assert found["vit_base_patch16_224.augreg_in1k"].preprocessing["mean"] == [0.5, 0.5, 0.5]


def test_transformers_names_the_checkpoint_behind_a_configuration() -> None:
    [weights] = weights_of("transformers", "vit")
    assert weights.name == "google/vit-base-patch16-224"
    assert weights.preprocessing["mean"] == [0.5, 0.5, 0.5]
    assert weights_of("transformers", "no-such-type") == ()


def test_a_state_dict_is_recognised_by_its_shapes(tmp_path: Path) -> None:
    import torchvision

    state = torchvision.models.squeezenet1_1(num_classes=7).state_dict()
    file = tmp_path / "w.safetensors"
    save_file({f"module.{name}": value for name, value in state.items()}, file)
    [found] = pretrained_weights(file).recognised
    assert (found.architecture, found.by, found.exact) == ("squeezenet1_1", "shapes", True)
    assert "7x512x1x1" in found.differences[0]


class Inside(nn.Module):
    """A task's own model around a library's backbone."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.stem, self.backbone, self.neck = nn.Conv2d(3, 3, 1), backbone, nn.Linear(512, 4)


def test_a_backbone_inside_a_model_is_found_where_it_is() -> None:
    import timm
    import torchvision

    body = torchvision.models.resnet18()
    body.fc = nn.Identity()
    [found] = pretrained_weights(Inside(body)).recognised
    assert (found.architecture, found.where, found.exact) == ("resnet18", "backbone", True)
    with torch.device("meta"):
        inner = timm.create_model("resnet18", num_classes=0)
    [found] = pretrained_weights(Inside(inner)).recognised
    assert (found.library, found.architecture, found.by, found.where) == (
        "timm", "resnet18", "configuration", "backbone",
    )  # fmt: skip


def test_what_no_library_has_is_not_guessed() -> None:
    report = pretrained_weights(nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4)))
    assert report.recognised == ()
    assert report.weights == ()


def test_a_domain_decides_what_is_preferred() -> None:
    natural = pretrained_weights("torchvision:densenet121")
    assert [advice.prefer for advice in natural.advice] == ["general"]
    chest = pretrained_weights("torchvision:densenet121", domain="chest-xray")
    first = chest.advice[0]
    assert first.prefer == "domain"
    assert "CheXpert" in first.text
    assert {w.name: w.fits for w in first.weights} == {
        "torchxrayvision densenet121-res224-all": True,
        "torchxrayvision resnet50-res512-all": False,
    }
    assert all(advice.source for advice in chest.advice)


def test_many_labels_speak_for_a_random_start() -> None:
    few, many = (pretrained_weights("torchvision:resnet18", samples=n).advice for n in (5_000, 1_000_000))
    assert [advice.prefer for advice in few] == ["general"]
    assert {advice.prefer for advice in many} == {"general", "random"}


def test_an_unknown_domain_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        pretrained_weights("torchvision:resnet18", domain="medicl")


def test_every_piece_of_advice_has_a_source_with_a_year() -> None:
    table = judgement()
    for domain in table.domains:
        for counsel in table.counsel(domain, 10**9):
            assert "20" in counsel.source
            assert counsel.prefer in ("domain", "general", "random", "either")
            assert all(weights["url"].startswith("https://") for weights in counsel.weights)


def test_a_broken_table_is_a_rule_error(tmp_path: Path) -> None:
    from initadvisor.analysis.transfer_advice import read

    file = tmp_path / "pretrained.toml"
    file.write_text('[apply]\nleast_share = 0.5\n[recognise]\nleast_share = 0.9\n[[advice]]\ndomains = ["a"]\n')
    with pytest.raises(RuleError, match="cannot be used"):
        read(file)
