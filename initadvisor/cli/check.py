"""`initadvisor check`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli.formats import outputs_of, print_reports, report_options
from initadvisor.cli.main import EXIT_FINDINGS, EXIT_NOT_CHECKED, EXIT_OK, Session, debug_option, fail
from initadvisor.cli.options import checker_of, configuration_of, reading_options, rule_options
from initadvisor.errors import InitAdvisorError, UsageError

if TYPE_CHECKING:
    from initadvisor.engine import Checker
    from initadvisor.report import Report
    from initadvisor.rules.rule import Severity


@click.command()
@click.argument("targets", nargs=-1, metavar="TARGET...")
@rule_options
@report_options
@click.option("--explain", metavar="LAYER", help="Follow the predicted signal to this layer, and the gradient back.")
@reading_options
@click.option("--quiet", "-q", is_flag=True, help="No progress, and nothing about clean targets.")
@debug_option
@click.pass_context
def check(ctx: click.Context, /, targets: tuple[str, ...], **options: Any) -> int:
    """Check models: how their weights are drawn, and what that does to signal and gradient.

    TARGET is model.onnx, model.safetensors, model.pt (weights only), package.module:factory or torchvision:NAME.
    The last two run code: your own module, and torchvision.
    """
    settings = configuration_of(options)
    targets = targets or settings.targets
    if not targets:
        raise UsageError("there is nothing to check", hint='give a target, such as "initadvisor check model.onnx"')
    outputs = outputs_of(options["outputs"], options["output_file"])
    session: Session = ctx.obj if isinstance(ctx.obj, Session) else Session()
    checker = checker_of(settings, options)
    reports = [_check_one(checker, target, options, session) for target in targets]
    fail_on = options["fail_on"] or settings.fail_on
    print_reports(reports, checker, outputs, fail_on, options["quiet"])
    return verdict_code(reports, options, fail_on)


def verdict_code(reports: list[Report], options: dict[str, Any], fail_on: Severity) -> int:
    """The exit code of a run: not checked before findings before nothing found."""
    if any(report.verdict == "not_checked" for report in reports):
        return EXIT_NOT_CHECKED
    if options["strict"] and any(report.not_evaluated for report in reports):
        click.echo("error: a selected rule could not be evaluated, and --strict is set", err=True)
        return EXIT_NOT_CHECKED
    found = any(report.failing(fail_on) for report in reports)
    return EXIT_FINDINGS if found and not options["exit_zero"] else EXIT_OK


def _check_one(checker: Checker, target: str, options: dict[str, Any], session: Session) -> Report:
    from initadvisor.cli.progress import ProgressLine

    try:
        # What a factory prints belongs to nobody's report: stdout is for data.
        with contextlib.redirect_stdout(sys.stderr), ProgressLine(target, enabled=not options["quiet"]) as progress:
            report = checker.check(target, progress=progress, explain=options["explain"])
    except Exception as error:
        fail(error if isinstance(error, InitAdvisorError) else internal(target, error), session)
        return checker.not_checked(target, error)
    if report.error is not None:
        click.echo(f"error: {report.error.message}", err=True)
    return report


def internal(target: str, error: Exception) -> Exception:
    """An error that nobody meant, with the target that it came up on."""
    error.add_note(f"while checking {target}")
    return error
