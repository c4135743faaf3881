"""`initadvisor compare`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.main import EXIT_INTERRUPTED, EXIT_OK, debug_option
from initadvisor.cli.output import write
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.compare.model import Comparison

FORMATS = ("full", "json", "html")


class _Format(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on only
    """`FORMAT` or `FORMAT:FILE`."""

    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path | None]:
        """Split at the first colon; fails for a format that does not exist."""
        if isinstance(value, tuple):
            return value
        name, _, file = str(value).partition(":")
        if name not in FORMATS:
            self.fail(f"{name!r} is not a format of a comparison; it is one of {', '.join(FORMATS)}", param)
        return name, Path(file) if file else None

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """How the help shows the value."""
        return "FORMAT[:FILE]"


def _numbers(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[float, ...]:
    words = [word.strip() for value in values for word in value.split(",") if word.strip()]
    try:
        return tuple(float(word) for word in words)
    except ValueError as error:
        raise click.BadParameter(f"{error}", ctx=ctx, param=parameter) from error


def _shape(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    sizes = value.lower().replace("x", ",").split(",")
    if not all(size.strip().isdecimal() and 0 < len(size.strip()) < 7 and int(size) for size in sizes):
        raise click.BadParameter(f"{value!r} is not of the form 3x32x32", ctx=ctx, param=parameter)
    return tuple(int(size) for size in sizes)


@click.command()
@click.argument("target", metavar="TARGET", shell_complete=complete.targets)
@click.option(
    "--inits",
    default="default,xavier,he,recommended",
    show_default=True,
    metavar="NAME,...",
    help="default (or as-is), recommended, lsuv, he, xavier, lecun, or any initializer, such as orthogonal:gain=1.4.",
)
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="NAME|FILE",
    help="digits, wine, breast-cancer, diabetes, or an .npz or .safetensors file with x and y.",
)
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True, help="Steps of a run.")
@click.option(
    "--lr",
    multiple=True,
    callback=_numbers,
    metavar="RATE,...",
    help="Learning rates; the one of the lowest training loss is shown.  [default: 0.001,0.01; 0.001 for Adam]",
)
@click.option("--optimizer", type=click.Choice(("sgd", "adam")), default="sgd", show_default=True)
@click.option("--schedule", type=click.Choice(("constant", "cosine")), default="constant", show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Draws of the weights.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="cpu, cuda, cuda:1, mps.")
@click.option("--input-shape", callback=_shape, metavar="3x32x32", help="Shape of a sample as the model takes it.")
@click.option(
    "--target-score",
    type=click.FloatRange(max=1.0),
    default=0.9,
    show_default=True,
    help="Held-out accuracy (R^2 of a regression) whose first crossing is counted in steps.",
)
@click.option(
    "--output-format",
    "outputs",
    type=_Format(),
    multiple=True,
    help="full, json, html; several, each to its own file, such as html:out.html.  [default: full]",
)
@click.option(
    "--output-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here, not to stdout."
)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@debug_option
def compare(target: str, **options: Any) -> int:
    """Train a model from several initializations, side by side, and show what each learns and carries.

    TARGET is package.module:factory, torchvision:NAME, timm:NAME or hf:NAME, with as many outputs as the data has
    classes, or more. All of them run code: your own, or the library's. Every initialization sees the same batches.

    Ctrl-C ends the runs and prints what was done so far.
    """
    outputs = _outputs(options)
    result = _compared(target, options)
    for name, file in sorted(outputs, key=lambda output: output[1] is None):
        write(_rendered(result, name, file), file)
    return EXIT_INTERRUPTED if result.interrupted else EXIT_OK


def _compared(target: str, options: dict[str, Any]) -> Comparison:
    from initadvisor.cli.progress import ProgressLine
    from initadvisor.compare.api import compare as run

    # What a factory prints belongs to nobody's result: stdout is for data.
    with contextlib.redirect_stdout(sys.stderr), ProgressLine(target, enabled=not options["quiet"]) as progress:
        return run(
            target,
            inits=options["inits"],
            data=options["data"],
            steps=options["steps"],
            lr=options["lr"] or None,
            optimizer=options["optimizer"],
            schedule=options["schedule"],
            batch_size=options["batch_size"],
            seeds=options["seeds"],
            device=options["device"],
            input_shape=options["input_shape"],
            target_score=options["target_score"],
            progress=progress,
        )


def _outputs(options: dict[str, Any]) -> list[tuple[str, Path | None]]:
    """What to write where, known before anything runs; raises UsageError where two want the same place."""
    file: Path | None = options["output_file"]
    wanted = list(options["outputs"]) or [("full", None)]
    if file is not None:
        if sum(place is None for _, place in wanted) != 1:
            raise UsageError("--output-file is for one format", hint="write --output-format FORMAT:FILE for each")
        wanted = [(name, file if place is None else place) for name, place in wanted]
    places = [place for _, place in wanted]
    for place in places:
        if places.count(place) > 1:
            where = "stdout" if place is None else str(place)
            raise UsageError(f"two formats go to {where}", hint="write --output-format FORMAT:FILE for each")
        if place is not None and not place.absolute().parent.is_dir():
            raise UsageError(f"the folder {place.parent} does not exist")
    return wanted


def _rendered(result: Comparison, name: str, file: Path | None) -> str:
    if name == "json":
        return result.to_json()
    if name == "html":
        return result.to_html()
    from initadvisor.compare.text import as_text
    from initadvisor.report.curve import BLOCKS
    from initadvisor.report.terminal import columns, holds, wants_color

    return as_text(
        result,
        columns=columns(sys.stdout),
        color=file is None and wants_color(sys.stdout),
        blocks=file is not None or holds(sys.stdout, BLOCKS),
    )
