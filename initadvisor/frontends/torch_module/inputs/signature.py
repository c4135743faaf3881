"""Example inputs from the signature of `forward` and the layers behind it."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from initadvisor.frontends.torch_module.inputs import huggingface
from initadvisor.frontends.torch_module.inputs.consumers import Appetite, appetites
from initadvisor.frontends.torch_module.inputs.trial import Trial, floats, tokens

SIZES = (224, 32, 64, 28, 256, 128, 299, 16, 384, 8, 512, 48, 96)
"""Image sizes in the order in which they are tried."""

_IMAGE = re.compile(r"^(x|.*(image|img|pixel|frame|video|picture|pic|photo|rgb).*|im)$")
_TOKEN = re.compile(r"(ids?$|token|word|text|idx|index|indices|src_seq|tgt_seq|prompt|caption|question|query_id)")
_MASK = re.compile(r"mask|valid")
_LENGTH = re.compile(r"length|lens?$|sizes?$|n_frames|seq_len")
_TIME = re.compile(r"^(t|ts|time|times|timestep|timesteps|step|sigma|noise_level|gamma|temperature|alpha|scale|beta)$")
_EDGE = re.compile(r"edge_index|edges|adj_t")
_LABEL = re.compile(r"^(y|label|labels|target|targets|cls|classes|class_labels)$")
_FLAG = re.compile(r"^(return_|use_|is_|do_|with_|output_)|^(training|train|causal|verbose|deterministic|inverse)$")


@dataclass(frozen=True, slots=True)
class Argument:
    """One required argument of `forward`."""

    name: str
    hint: str
    keyword: bool = False


def trials(module: nn.Module) -> Iterator[Trial]:
    """Yield inputs guessed from names, type hints and the first layers, in the order of likelihood."""
    arguments = required(module)
    wants = appetites(module) or [Appetite("features", 16)]
    if not arguments:
        yield Trial((), {})
        if takes_anything(module):
            arguments = [Argument("x", "")]
        else:
            return
    leads = sorted(wants[:4], key=lambda w: not _suits(arguments[0], w))
    for lead in leads:
        for size in SIZES if lead.kind == "image" else (224, 64, 32):
            yield _trial(arguments, wants, lead, size)
            if lead.kind not in ("image", "volume"):
                break
    for lead in leads[:2]:
        for shape in _odd_shapes(lead):
            yield Trial((floats(*shape), *(_value(a, wants, lead, 64) for a in arguments[1:])))


def _trial(arguments: list[Argument], wants: list[Appetite], lead: Appetite, size: int) -> Trial:
    values = [feed(lead, size) if not _special(arguments[0]) else _value(arguments[0], wants, lead, size)]
    rest = [w for w in wants if w != lead]
    for argument in arguments[1:]:
        match = next((w for w in rest if _suits(argument, w)), lead)
        if match in rest and not _same_kind(argument, arguments[0]):
            rest.remove(match)
        else:
            match = lead
        values.append(_value(argument, wants, match, size))
    args = tuple(v for a, v in zip(arguments, values, strict=True) if not a.keyword)
    return Trial(args, {a.name: v for a, v in zip(arguments, values, strict=True) if a.keyword})


def feed(want: Appetite, size: int = 224) -> torch.Tensor:
    """A tensor that a layer would take."""
    shape = want.shape(size)
    return tokens(*shape, high=want.vocabulary) if want.vocabulary else floats(*shape)


def required(module: nn.Module) -> list[Argument]:
    """The arguments of `forward` that have no default."""
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):
        return [Argument("x", "")]
    try:
        hints = typing.get_type_hints(module.forward)
    except Exception:  # hints may name what is not importable here
        hints = {}
    found = []
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty:
            hint = hints.get(name, parameter.annotation)
            text = "" if hint is parameter.empty else getattr(hint, "__name__", "") or str(hint)
            full = text if text in ("Tensor", "int", "float", "bool", "str", "dict", "list", "tuple") else str(hint)
            found.append(
                Argument(name, "" if hint is parameter.empty else full, parameter.kind is parameter.KEYWORD_ONLY)
            )
    return found


def takes_anything(module: nn.Module) -> bool:
    """Whether `forward` has optional or starred arguments that an input could go to."""
    try:
        return bool(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        return True


def accepted(module: nn.Module) -> set[str]:
    """The names of the arguments of `forward` that may hold a tensor."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return set()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "past_key_values"]
    return {p.name for p in named if p.annotation is p.empty or "Tensor" in str(p.annotation)}


def value_for(module: nn.Module, name: str, hint: str = "") -> Any:
    """A value for one more argument that turned out to be needed."""
    if huggingface.is_model(module):
        return huggingface.Maker(module).value(name)
    wants = appetites(module) or [Appetite("features", 16)]
    argument = Argument(name, hint)
    lead = next((w for w in wants if _suits(argument, w)), wants[0])
    return _value(argument, wants, lead, 224)


def _special(argument: Argument) -> bool:
    name, hint = argument.name.lower(), argument.hint
    if (
        hint in ("int", "float", "bool", "str")
        or "List[" in hint
        or "list[" in hint
        or "ict[" in hint
        or hint == "dict"
    ):
        return True
    return any(p.search(name) for p in (_MASK, _LENGTH, _EDGE, _FLAG))


def _value(argument: Argument, wants: list[Appetite], lead: Appetite, size: int) -> Any:
    name, hint = argument.name.lower(), argument.hint
    if hint in ("int", "float", "bool", "str"):
        return {"int": 1, "float": 1.0, "bool": False, "str": ""}[hint]
    if hint == "dict" or "ict[" in hint:
        return {}
    if "PackedSequence" in hint:
        return nn.utils.rnn.pack_padded_sequence(feed(lead, size), torch.tensor([16, 12]), lead.batch_first)
    if "ist[" in hint or hint == "list":
        one = feed(lead, size)
        return [one[0], one[1]] if lead.kind == "image" else [one, one]
    if hint.lower().startswith("tuple[") and "Tensor" in hint:
        return tuple(feed(lead, size) for _ in range(max(hint.count("Tensor"), 1)))
    if _FLAG.search(name):
        return False
    if _EDGE.search(name):
        return torch.tensor([[0, 1, 1, 0], [1, 0, 1, 0]])
    if _MASK.search(name):
        return torch.ones(2, 16, dtype=torch.bool)
    if _LENGTH.search(name):
        return torch.tensor([16, 12])
    if _TIME.search(name):
        return torch.tensor([1, 2])
    if _LABEL.search(name) and not lead.vocabulary:
        return torch.tensor([0, 1])
    return feed(lead, size)


def _suits(argument: Argument, want: Appetite) -> bool:
    name = argument.name.lower()
    if _TOKEN.search(name):
        return want.kind == "tokens"
    if name != "x" and _IMAGE.match(name):
        return want.kind in ("image", "volume")
    return True


def _same_kind(a: Argument, b: Argument) -> bool:
    """Whether two names differ only by a number or a side: (x1, x2), (left, right), (img_a, img_b)."""
    strip = re.compile(r"[\d_]+|[ab]$|left|right|anchor|positive|negative|src|tgt|source|target|query|key|value|[qkv]$")
    return strip.sub("", a.name) == strip.sub("", b.name)


def _odd_shapes(lead: Appetite) -> Iterator[tuple[int, ...]]:
    """Shapes of another rank that a layer may be fed after the model has rearranged its input."""
    c = lead.channels
    if lead.kind == "features":
        yield from ((2, 16, c), (16, c), (2, c, 16), (2, c, 8, 8), (c,), (2, 8, 8, c))
        root = round(c**0.5)
        if root * root == c:
            yield (2, 1, root, root)
        third = round((c / 3) ** 0.5)
        if third * third * 3 == c:
            yield (2, 3, third, third)
    elif lead.kind == "image":
        yield from ((2, 32, 32, c), (2, 32, 32), (2, 16, c, 32, 32), (c, 32, 32), (2, c * 64), (2, 64))
    elif lead.kind == "sequence":
        yield from ((2, 64, c), (2, 64), (64, c), (2, 4096), (2, 1, 16000))
    elif lead.kind == "steps":
        yield from ((2, c), (16, c), (2, c, 16), (2, 1, 32, 64))
    elif lead.kind == "volume":
        yield from ((2, 16, c, 64, 64), (c, 16, 64, 64))
