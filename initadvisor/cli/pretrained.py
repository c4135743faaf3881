"""`initadvisor pretrained`."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.main import EXIT_FINDINGS, EXIT_OK, debug_option
from initadvisor.cli.options import input_shape_option, reading_options
from initadvisor.cli.output import write
from initadvisor.errors import UsageError

if TYPE_CHECKING:
    from initadvisor.frontends.options import LoadOptions


@click.command()
@click.argument("target", metavar="TARGET", shell_complete=complete.targets)
@click.option(
    "--domain",
    default="natural",
    show_default=True,
    metavar="NAME",
    help="What the inputs are: natural, medical, chest-xray, radiology, pathology, remote-sensing, other.",
)
@click.option("--samples", type=click.IntRange(min=1), help="Labelled samples that there are to train on.")
@click.option(
    "--apply",
    "weights",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Load this checkpoint into the model and write the result: .safetensors, .pth, or an index of shards.",
)
@click.option(
    "--output-file",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --apply, the file for the model's weights.  [default: TARGET.pretrained.safetensors]",
)
@click.option("--force", is_flag=True, help="Replace the output file where there is one. FILE never is.")
@click.option(
    "--head",
    type=click.Choice(("auto", "redraw", "keep")),
    default="auto",
    show_default=True,
    help="Draw the head anew: where FILE has none of its shape, always, or never.",
)
@click.option("--partial", is_flag=True, help="Also write what a file that covers only part of the backbone gives.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the draws of the head.  [default: 0]")
@input_shape_option
@click.option("--output-format", type=click.Choice(("text", "json")), default="text", show_default=True)
@reading_options
@debug_option
def pretrained(target: str, **options: Any) -> int:
    """Say which pretrained weights exist for a model, and load a checkpoint into it.

    The architecture is recognised by name, configuration or shapes; what is known of its weights comes from the
    installed libraries (torchvision, timm, transformers). Nothing is downloaded.

    With --apply, every tensor of the model is accounted for: matched, renamed, adapted, drawn anew, mismatched or
    missing. The exit code is 1, and nothing is written, where part of the backbone would go without weights.
    """
    from initadvisor.frontends.options import LoadOptions

    load = LoadOptions(
        input_shapes=options["input_shapes"] or None,
        allow_pickle=options["allow_pickle"],
        allow_external_symlinks=options["allow_external_symlinks"],
    )
    if options["weights"] is not None:
        return _apply(target, options, load)
    if options["output_file"] is not None:
        raise UsageError("--output-file is the result of --apply", hint="give --apply FILE, or redirect the report")
    from initadvisor.engine.pretrained import pretrained_weights
    from initadvisor.report.pretrained_text import report_as_text

    with contextlib.redirect_stdout(sys.stderr):
        report = pretrained_weights(target, domain=options["domain"], samples=options["samples"], load=load)
    as_json = options["output_format"] == "json"
    write(report.model_dump_json(indent=2) + "\n" if as_json else report_as_text(report))
    return EXIT_OK


def _apply(target: str, options: dict[str, Any], load: LoadOptions) -> int:
    from initadvisor.engine.fixing import Reference, is_reference, save_state
    from initadvisor.engine.loading_weights import put
    from initadvisor.report.pretrained_text import load_as_text

    if not is_reference(target):
        raise UsageError(
            f"weights cannot be loaded into {target}", hint="give package.module:factory, torchvision:NAME or timm:NAME"
        )
    weights: Path = options["weights"]
    with contextlib.redirect_stdout(sys.stderr):
        source = Reference(target, load)
        file: Path = options["output_file"] or Path(f"{source.default_file().stem.removesuffix('.fixed')}{_SUFFIX}")
        source.refuse(file)
        _refuse(file, weights, options["force"])
        report = put(
            source.subject,
            weights,
            head=options["head"],
            partial=options["partial"],
            seed=options["seed"],
            load=load,
            target=target,
        )
        if report.written:
            save_state(source.subject, target, file)
            report = report.model_copy(update={"output": str(file)})
    as_json = options["output_format"] == "json"
    write(report.model_dump_json(indent=2) + "\n" if as_json else load_as_text(report))
    return EXIT_OK if report.written else EXIT_FINDINGS


_SUFFIX = ".pretrained.safetensors"


def _refuse(file: Path, weights: Path, force: bool) -> None:
    if file.exists() and weights.exists() and os.path.samefile(file, weights):
        raise UsageError(f"{file} is the checkpoint itself, which is never changed", hint="-o FILE names another")
    if file.exists() and not file.is_file():
        raise UsageError(f"{file} is not a plain file")
    if file.exists() and not force:
        raise UsageError(f"{file} exists", hint="--force replaces it, -o FILE names another")
    if not file.parent.is_dir():
        raise UsageError(f"the folder {file.parent} does not exist")
