"""`initadvisor probe`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli import complete
from initadvisor.cli.accepted import baseline_option, baselines_of, without_known
from initadvisor.cli.check import internal, verdict_code
from initadvisor.cli.expand import expanded
from initadvisor.cli.formats import Output, outputs_of, print_reports, report_options, wants_details
from initadvisor.cli.main import Session, debug_option, fail
from initadvisor.cli.options import configuration_of, reading_options, rule_options
from initadvisor.cli.runs import Checkers, Run, runs_of
from initadvisor.cli.sweeping import Plan, sweep_options, swept, wanted
from initadvisor.errors import InitAdvisorError, UsageError

if TYPE_CHECKING:
    from initadvisor.engine.prober import Prober
    from initadvisor.report import Report
    from initadvisor.rules.baseline import Baseline


@click.command()
@click.argument("targets", nargs=-1, metavar="TARGET...", shell_complete=complete.targets)
@click.option("--steps", type=click.IntRange(min=2), default=3, show_default=True, help="Optimizer steps to run.")
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="cpu, cuda, cuda:1, mps.")
@click.option(
    "--precision",
    type=click.Choice(("float32", "bf16", "fp16")),
    default="float32",
    show_default=True,
    help="What the forward pass computes in (autocast).",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Samples of the made-up batch.  [default: 8]")
@click.option("--accumulate", type=click.IntRange(min=1), default=1, help="Micro-batches of a step.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the made-up batch.  [default: 0]")
@click.option("--seeds", type=click.IntRange(min=1), default=1, help="Made-up batches to run, for the spread.")
@click.option("--noise", is_flag=True, help="Also measure the gradient noise.")
@click.option("--jacobian", is_flag=True, help="Also measure the singular values of the input-output Jacobian.")
@click.option("--sharpness", is_flag=True, help="Also measure the largest eigenvalue of the Hessian.")
@click.option("--lookahead", is_flag=True, help="Also train for 50 steps at three learning rates.")
@rule_options
@report_options
@baseline_option
@reading_options
@sweep_options
@click.option("--quiet", "-q", is_flag=True, help="No progress, and nothing about clean targets.")
@debug_option
@click.pass_context
def probe(ctx: click.Context, /, targets: tuple[str, ...], **options: Any) -> int:
    """Probe models: run a few training steps and look at signal and gradient. Nothing is kept of the steps.

    TARGET is model.onnx, package.module:factory, torchvision:NAME, timm:NAME or hf:NAME. All but the file run code:
    your own, or the library's. The batch is made up; give your own from Python: initadvisor.probe(model, batch, loss).

    Under torchrun every process builds the target and takes a batch of its own; the first one reports for all.

    Many at once: "torchvision:*", "timm:resnet*", "hf:*", @models.txt (one a line); with --jobs, --engine ray and
    --resume. Each process sees the GPUs that --gpus-per-job gives it, and no other.
    """
    config = configuration_of(options)
    apart = wanted(options)
    runs = runs_of(config, expanded(targets, config), options, "initadvisor probe package:factory")
    outputs = outputs_of(options["outputs"], options["output_file"])
    session: Session = ctx.obj if isinstance(ctx.obj, Session) else Session()
    from initadvisor.engine.probing import launched, make_prober, process_group

    baselines = baselines_of(runs)
    checkers = Checkers("probe")
    names = ("seeds", "steps", "device", "seed", "batch_size", "precision", "accumulate")
    more = ("noise", "jacobian", "sharpness", "lookahead")
    several = launched()
    chosen = {name: options[name] for name in (*names, *more)}
    details = wants_details(outputs)
    if apart:
        if several:
            raise UsageError("torchrun has started several processes already", hint="leave --engine and --jobs out")
        reports = swept(runs, checkers, Plan("probe", details, probe=chosen), options, session)
        return _concluded(reports, runs, checkers, outputs, baselines, options)
    probers = [make_prober(run.checked, checker=checkers.of(run), replicated=several, **chosen) for run in runs]
    with process_group() if several else contextlib.nullcontext(0) as rank:
        quiet = options["quiet"] or rank > 0
        reports = [
            _probe_one(prober, run.target, quiet, session, details=details)
            for prober, run in zip(probers, runs, strict=True)
        ]
    return _concluded(reports, runs, checkers, outputs if rank == 0 else (), baselines, options)


def _concluded(
    reports: Sequence[Report],
    runs: Sequence[Run],
    checkers: Checkers,
    outputs: Sequence[Output],
    baselines: dict[Path, Baseline],
    options: dict[str, Any],
) -> int:
    """Print what is left when the baseline's findings are apart; the exit code."""
    reports = [without_known(report, run, baselines) for report, run in zip(reports, runs, strict=True)]
    print_reports(reports, checkers, outputs, [run.settings.fail_on for run in runs], options["quiet"])
    return verdict_code(reports, runs, options)


def _probe_one(prober: Prober, target: str, quiet: bool, session: Session, *, details: bool = False) -> Report:
    from initadvisor.cli.progress import ProgressLine

    try:
        with contextlib.redirect_stdout(sys.stderr), ProgressLine(target, enabled=not quiet) as progress:
            report = prober.probe(target, progress=progress, details=details)
    except Exception as error:
        fail(error if isinstance(error, InitAdvisorError) else internal(target, error), session)
        return prober.checker.not_checked(target, error)
    if report.error is not None:
        click.echo(f"error: {report.error.message}", err=True)
    return report
