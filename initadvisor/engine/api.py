"""`initadvisor.check`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from initadvisor.engine.checker import Checker, CheckSettings
from initadvisor.frontends.options import LoadOptions

if TYPE_CHECKING:
    from initadvisor.report import Report


def check(
    target: Any,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    extend_select: Iterable[str] = (),
    preview: bool = False,
    rules_dirs: Iterable[Path | str] = (),
    params: Mapping[str, Any] | None = None,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    example: Any | None = None,
    allow_pickle: bool = False,
    batch_size: int | None = None,
    devices: int | None = None,
    expect: Literal["", "pretrained"] = "",
    classes: int = 0,
    explain: str | None = None,
    details: bool = False,
) -> Report:
    """Check how a model starts; the model is only read, never changed or run on real data.

    target: a torch module, a path to .onnx, .safetensors or .pt, or a reference ("package.module:factory",
        "torchvision:resnet50").
    select, ignore, extend_select: rules by id, prefix, name or category.
    params: rule parameters, as {"IA101.low": 0.4}.
    input_shape: the shape of the input, or one for each input. example: an example input of a torch module.
    batch_size, devices: of the training to come: samples of a step on one device, and how many devices there are.
    expect: "pretrained" for a model that is meant to hold pretrained weights. classes: of the task that it is for.
    explain: name of a layer; the report's `explanation` follows the predicted signal to it and the gradient back.
    details: also take histograms of the weights and the flow of operators, which reports with pictures show.

    Raises a subclass of InitAdvisorError where the target cannot be read or a setting is off.
    """
    settings = CheckSettings(
        select=tuple(select),
        ignore=tuple(ignore),
        extend_select=tuple(extend_select),
        preview=preview,
        rules_dirs=tuple(rules_dirs),
        params=dict(params or {}),
        load=LoadOptions(input_shapes=input_shapes(input_shape), example=example, allow_pickle=allow_pickle),
        batch_size=batch_size,
        devices=devices,
        expect=expect,
        classes=classes,
    )
    return Checker(settings).check(target, explain=explain, details=details)


def input_shapes(shape: Any) -> tuple[tuple[int, ...], ...] | None:
    """The shape of one input, or of each, as `LoadOptions` holds them."""
    if shape is None:
        return None
    sizes = tuple(shape)
    if all(isinstance(size, int) for size in sizes):
        return (sizes,)
    return tuple(tuple(int(size) for size in each) for each in sizes)
