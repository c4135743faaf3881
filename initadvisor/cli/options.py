"""Options that several commands share: which rules run, how a target is read, which configuration governs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.language import configured
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.config import Config
    from initadvisor.engine import CheckSettings


def _listed(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


def _shapes(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    shapes = []
    for value in values:
        sizes = value.lower().replace("x", ",").split(",")
        if not all(size.strip().isdecimal() and len(size.strip()) < 12 for size in sizes):
            raise click.BadParameter(f"{value!r} is not of the form 1x3x224x224", ctx=ctx, param=parameter)
        shapes.append(tuple(int(size) for size in sizes))
    return tuple(shapes)


def _preset(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from initadvisor.engine.advising import known_preset

        known_preset(value)
    return value


def _counts(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    words = value.split(",")
    if not all(word.strip().isdecimal() and len(word.strip()) < 16 for word in words):
        raise click.BadParameter(f"{value!r} is not of the form 900,80,20", ctx=ctx, param=parameter)
    return tuple(float(word) for word in words)


def _prior(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | float | None:
    if value is None or value in ("class", "focal"):
        return value
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither class, focal nor a number", ctx=ctx, param=parameter) from None


input_shape_option = click.option(
    "--input-shape",
    "input_shapes",
    multiple=True,
    callback=_shapes,
    metavar="1x3x224x224",
    help="Shape of an input; once for each input, in order.",
)
_RULES = (
    click.option(
        "--select",
        multiple=True,
        callback=_listed,
        metavar="RULE,...",
        shell_complete=complete.rules,
        help="Run only these: ids, prefixes (IA1), names, categories.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        callback=_listed,
        metavar="RULE,...",
        shell_complete=complete.rules,
        help="Do not run these.",
    ),
    click.option(
        "--extend-select",
        multiple=True,
        callback=_listed,
        metavar="RULE,...",
        shell_complete=complete.rules,
        help="Run these as well.",
    ),
    click.option("--preview", is_flag=True, help="Run preview rules too."),
    click.option(
        "--param",
        "params",
        multiple=True,
        metavar="RULE.NAME=VALUE",
        help="Set a parameter of a rule, such as IA101.low=0.4.",
    ),
    click.option(
        "--rules-dir",
        "rules_dirs",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Read more rules from this folder (data only: no code in it runs).",
    ),
    input_shape_option,
)
_READING = (
    click.option(
        "--allow-pickle",
        is_flag=True,
        help="Read full pickles. This RUNS CODE from the file: only for files that you trust.",
    ),
    click.option(
        "--allow-external-symlinks",
        is_flag=True,
        help="Follow links of ONNX external data, as a download cache makes them.",
    ),
    click.option(
        "--model-suppressions",
        is_flag=True,
        help="Obey the suppressions that an ONNX file carries: only for files that you trust.",
    ),
    click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Read this configuration file, not the nearest one.",
    ),
)
_PLAN = (
    click.option(
        "--preset",
        callback=_preset,
        metavar="NAME",
        help="Lay these recipes over the advice: vision, gpt, vit, sigmoid-mlp, fixup, orthogonal ...",
    ),
    click.option(
        "--class-counts",
        callback=_counts,
        metavar="N,N,...",
        help="Samples of each class: the head's bias starts at the log frequencies.",
    ),
    click.option(
        "--labels",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The same from labels: a .npy file, or text with one class number a line.",
    ),
    click.option(
        "--prior",
        callback=_prior,
        metavar="class|focal|P",
        help="Every output of the head starts at this probability (focal: 0.01); class is what --labels says.",
    ),
    click.option("--only-flagged", is_flag=True, help="Leave alone what no rule has found fault with."),
    click.option("--seed", type=click.IntRange(min=0), help="Seed of the draws.  [default: 0]"),
    click.option("--allow-trained", is_flag=True, help="Draw anew what holds something learned: it is LOST."),
)


_TRAINING = (
    click.option(
        "--batch-size", type=click.IntRange(min=1), help="Samples of a training step on one device, for rules on norms."
    ),
    click.option(
        "--devices", type=click.IntRange(min=1), help="Devices that will train copies of the model side by side."
    ),
)


def training_options(function: Any) -> Any:
    """What is known of the training to come."""
    return _with(function, _TRAINING)


def plan_options(function: Any) -> Any:
    """What a plan is made for."""
    return _with(function, _PLAN)


def rule_options(function: Any) -> Any:
    """Which rules run, and the shape of the input that they see."""
    return _with(function, _RULES)


def judging_options(function: Any) -> Any:
    """Which rules run, where there is no model to take an input."""
    return _with(function, _RULES[:-1])


def config_option(function: Any) -> Any:
    """The configuration alone, where nothing is read that could be unsafe."""
    return _with(function, _READING[-1:])


def reading_options(function: Any) -> Any:
    """What may be read, and the configuration."""
    return _with(function, _READING)


def _with(function: Any, options: tuple[Callable[[Any], Any], ...]) -> Any:
    for option in reversed(options):
        function = option(function)
    return function


def configuration_of(options: dict[str, Any]) -> Config:
    """The configuration file that was named, or the nearest one; raises UsageError where the named one is not there."""
    from initadvisor import config

    path: Path | None = options["config_file"]
    if path is not None and not path.is_file():
        raise UsageError(f"the configuration file {path} does not exist")
    found = config.read(path) if path else config.find(Path.cwd())
    configured(found.lang)
    return found


def with_options(settings: Config, options: dict[str, Any]) -> Config:
    """The settings with what the command line says laid over them; an option that a command lacks says nothing."""
    from initadvisor.rules import parse_param

    for key, option in _REPLACING.items():
        if options.get(key):
            settings = settings.over({key: options[key]}, option)
    for key, option in _ADDING.items():
        if options.get(key):
            before = getattr(settings, key)
            origin = f"{settings.origin(key)}, {option}" if before else option
            settings = settings.over({key: (*before, *options[key])}, origin)
    if options.get("params"):
        settings = settings.over({"params": dict(parse_param(text) for text in options["params"])}, "--param")
    return settings


_REPLACING = {
    "select": "--select",
    "preview": "--preview",
    "input_shapes": "--input-shape",
    "fail_on": "--fail-on",
    "strict": "--strict",
    "baseline": "--baseline",
    "fail_on_unused": "--fail-on-unused",
    "model_suppressions": "--model-suppressions",
    "expect": "--expect",
    "classes": "--classes",
    "preset": "--preset",
    "batch_size": "--batch-size",
    "devices": "--devices",
}
_ADDING = {"ignore": "--ignore", "extend_select": "--extend-select", "rules_dirs": "--rules-dir"}


def settings_of(settings: Config, options: dict[str, Any]) -> CheckSettings:
    """What a checker has to know of a configuration and the options of a command."""
    from initadvisor.engine import CheckSettings
    from initadvisor.frontends.options import LoadOptions

    whole = with_options(settings, options)
    return CheckSettings(
        select=whole.select,
        ignore=whole.ignore,
        extend_select=whole.extend_select,
        preview=whole.preview,
        rules_dirs=whole.rules_dirs,
        params=whole.params,
        load=LoadOptions(
            input_shapes=whole.input_shapes or None,
            meta=True if options.get("meta") else None,
            allow_pickle=options.get("allow_pickle", False),
            allow_external_symlinks=options.get("allow_external_symlinks", False),
        ),
        preset=settings.preset,
        policy=whole.policy,
        severity=whole.severity,
        suppressions=whole.suppress,
        model_suppressions=whole.model_suppressions,
        batch_size=whole.batch_size,
        devices=whole.devices,
        expect=whole.expect,
        classes=whole.classes or 0,
    )
