"""`initadvisor check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli.main import EXIT_FINDINGS, EXIT_NOT_CHECKED, EXIT_OK, Session, debug_option, fail
from initadvisor.cli.output import write
from initadvisor.errors import InitAdvisorError, UsageError

if TYPE_CHECKING:
    from initadvisor.engine import Checker
    from initadvisor.report import Report

_FORMATS = ("full", "concise", "json", "jsonl")
_SEVERITIES = ("error", "warning", "info")


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


@click.command()
@click.argument("targets", nargs=-1, metavar="TARGET...")
@click.option(
    "--select",
    multiple=True,
    callback=_listed,
    metavar="RULE,...",
    help="Run only these: ids, prefixes (IA1), names, categories.",
)
@click.option("--ignore", multiple=True, callback=_listed, metavar="RULE,...", help="Do not run these.")
@click.option("--extend-select", multiple=True, callback=_listed, metavar="RULE,...", help="Run these as well.")
@click.option("--preview", is_flag=True, help="Run preview rules too.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="RULE.NAME=VALUE",
    help="Set a parameter of a rule, such as IA101.low=0.4.",
)
@click.option(
    "--rules-dir",
    "rules_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Read more rules from this folder (data only: no code in it runs).",
)
@click.option(
    "--input-shape",
    "input_shapes",
    multiple=True,
    callback=_shapes,
    metavar="1x3x224x224",
    help="Shape of an input; once for each input, in order.",
)
@click.option("--output-format", type=click.Choice(_FORMATS), default="full", show_default=True)
@click.option(
    "--output-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here, not to stdout."
)
@click.option("--fail-on", type=click.Choice(_SEVERITIES), help="Exit with 1 from this severity on.  [default: error]")
@click.option(
    "--exit-zero", is_flag=True, help="Exit with 0 even with findings; what could not be checked still exits with 2."
)
@click.option("--strict", is_flag=True, help="Exit with 2 where a selected rule could not be evaluated.")
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Read full pickles. This RUNS CODE from the file: only for files that you trust.",
)
@click.option(
    "--allow-external-symlinks",
    is_flag=True,
    help="Follow links of ONNX external data, as a download cache makes them.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read this configuration file, not the nearest one.",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress, and nothing about clean targets.")
@debug_option
@click.pass_context
def check(ctx: click.Context, /, targets: tuple[str, ...], **options: Any) -> int:
    """Check models: how their weights are drawn, and what that does to signal and gradient.

    TARGET is model.onnx, model.safetensors, model.pt (weights only), package.module:factory or torchvision:NAME.
    The last two run code: your own module, and torchvision.
    """
    from initadvisor import config as configuration

    path: Path | None = options["config_file"]
    if path is not None and not path.is_file():
        raise UsageError(f"the configuration file {path} does not exist")
    settings = configuration.read(path) if path else configuration.find(Path.cwd())
    targets = targets or settings.targets
    if not targets:
        raise UsageError("there is nothing to check", hint='give a target, such as "initadvisor check model.onnx"')
    session: Session = ctx.obj if isinstance(ctx.obj, Session) else Session()
    checker = _checker(settings, options)
    reports = [_check_one(checker, target, options["quiet"], session) for target in targets]
    _print(reports, checker, options)
    if any(report.verdict == "not_checked" for report in reports):
        return EXIT_NOT_CHECKED
    if options["strict"] and any(report.not_evaluated for report in reports):
        click.echo("error: a selected rule could not be evaluated, and --strict is set", err=True)
        return EXIT_NOT_CHECKED
    fail_on = options["fail_on"] or settings.fail_on
    found = any(report.failing(fail_on) for report in reports)
    return EXIT_FINDINGS if found and not options["exit_zero"] else EXIT_OK


def _checker(settings: Any, options: dict[str, Any]) -> Checker:
    from initadvisor.engine import Checker, CheckSettings
    from initadvisor.frontends.options import LoadOptions
    from initadvisor.rules import parse_param

    given = dict(parse_param(text) for text in options["params"])
    return Checker(
        CheckSettings(
            select=options["select"] or settings.select,
            ignore=(*settings.ignore, *options["ignore"]),
            extend_select=(*settings.extend_select, *options["extend_select"]),
            preview=options["preview"] or settings.preview,
            rules_dirs=(*settings.rules_dirs, *options["rules_dirs"]),
            params={**settings.params, **given},
            load=LoadOptions(
                input_shapes=options["input_shapes"] or None,
                allow_pickle=options["allow_pickle"],
                allow_external_symlinks=options["allow_external_symlinks"],
            ),
        )
    )


def _check_one(checker: Checker, target: str, quiet: bool, session: Session) -> Report:
    from initadvisor.cli.progress import ProgressLine

    try:
        with ProgressLine(target, enabled=not quiet) as progress:
            report = checker.check(target, progress=progress)
    except Exception as error:
        fail(error if isinstance(error, InitAdvisorError) else _internal(target, error), session)
        return checker.not_checked(target, error)
    if report.error is not None:
        click.echo(f"error: {report.error.message}", err=True)
    return report


def _internal(target: str, error: Exception) -> Exception:
    error.add_note(f"while checking {target}")
    return error


def _print(reports: list[Report], checker: Checker, options: dict[str, Any]) -> None:
    from initadvisor.report import render
    from initadvisor.report.terminal import columns, wants_color

    file: Path | None = options["output_file"]
    people = options["output_format"] in ("full", "concise")
    if people and file is None:
        # stderr has already said, in one line each, what could not be checked.
        reports = [report for report in reports if report.verdict != "not_checked"]
    if people and options["quiet"]:
        reports = [report for report in reports if report.verdict != "clean"]
    if people and not reports and file is None:
        return
    text = render(
        reports,
        options["output_format"],
        columns=columns(sys.stdout),
        color=file is None and wants_color(sys.stdout),
        why=checker.reasons(),
    )
    write(text, file)
