"""The comparison as a page: self-contained, escaped, sound markup; and its pictures."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache

import html5lib
import pytest

import initadvisor
from initadvisor.compare import pictures
from initadvisor.compare.model import Comparison
from tests.compare import models


@cache
def found() -> Comparison:
    return initadvisor.compare(models.tapering, inits="he,xavier,normal:std=30,hippo_legs", steps=10, lr=0.1)


def test_the_page_is_sound_and_asks_for_nothing_from_elsewhere() -> None:
    page = found().to_html()
    html5lib.HTMLParser(strict=True).parse(page)
    assert "<script" not in page
    urls = set(re.findall(r"https?://[^\"'\s<)]+", page))
    assert urls <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|<link|<img", page)
    assert "prefers-color-scheme:dark" in page.replace(" ", "")


def test_the_page_says_what_the_comparison_says() -> None:
    page = found().to_html()
    text = re.sub(r"<[^>]+>", " ", page)
    for result in found().inits:
        assert result.name in text
        if result.score is not None:
            assert f"{result.score:.1%}" in text
    assert "diverged" in text
    assert "not run" in text


def test_hostile_names_stay_text() -> None:
    hostile = "<script>alert(1)</script>\"'&{{ 7*7 }}\u202e"
    first = found().inits[0]
    layers = tuple(layer.model_copy(update={"name": hostile}) for layer in first.shown.start)
    run = first.shown.model_copy(update={"start": layers})
    result = first.model_copy(update={"name": hostile, "description": hostile, "runs": (run,)})
    data = found().data.model_copy(update={"name": hostile, "notes": (hostile,)})
    made = found().model_copy(
        update={"target": hostile, "data": data, "inits": (result,), "conclusion": hostile, "notes": (hostile,)}
    )
    page = made.to_html()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in page
    html5lib.HTMLParser(strict=True).parse(page)
    ET.fromstring(pictures.histogram_sheet(made))


@pytest.mark.parametrize("end", [False, True])
def test_pictures_stand_alone_as_sound_svg(end: bool) -> None:
    made = found()
    for picture in (
        pictures.learning_curves(made, standalone=True),
        pictures.loss_curves(made, standalone=True),
        pictures.signal(made, end=end, standalone=True),
        pictures.gradient(made, end=end, standalone=True),
        pictures.weight_gradient(made, end=end, standalone=True),
        pictures.dead(made, end=end, standalone=True),
        pictures.histogram_sheet(made, end=end),
    ):
        assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"


def test_histograms_are_of_layers_evenly_over_the_depth() -> None:
    rows = pictures.histograms(found())
    assert [result.name for result, _ in rows] == [r.name for r in found().inits if r.status != "not_run"]
    cells = rows[0][1]
    assert [cell.layer for cell in cells] == ["0", "4", "8", "12"]


def test_a_single_layer_has_no_profile_and_no_failure() -> None:
    from torch import nn

    made = initadvisor.compare(lambda: nn.Linear(64, 10), inits="default", steps=2, lr=0.01)
    page = made.to_html()
    assert "Signal and gradient by layer" not in page
    assert "Activations before training" in page
