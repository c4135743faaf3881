"""`initadvisor check --server`: the same command, with the work done by a service."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initadvisor.cli.main import Session, fail
from initadvisor.errors import InitAdvisorError, ServiceError, UsageError

if TYPE_CHECKING:
    from initadvisor.cli.runs import Run
    from initadvisor.engine import Checker
    from initadvisor.report import Report
    from initadvisor.service.client import Client
    from initadvisor.service.schemas import CheckView

_TOKEN = "INITADVISOR_TOKEN"

_OPTIONS = (
    click.option("--server", metavar="URL", help="Let this service do the check, such as http://127.0.0.1:8765."),
    click.option("--token-env", metavar="NAME", help=f"Variable that holds the service's token.  [default: {_TOKEN}]"),
)

_HERE_ONLY = {
    "explain": "--explain",
    "params": "--param",
    "rules_dirs": "--rules-dir",
    "allow_pickle": "--allow-pickle",
    "allow_external_symlinks": "--allow-external-symlinks",
    "model_suppressions": "--model-suppressions",
    "expect": "--expect",
    "classes": "--classes",
    "meta": "--meta",
    "batch_size": "--batch-size",
    "devices": "--devices",
    "engine": "--engine",
    "jobs": "--jobs",
    "resume": "--resume",
    "timeout": "--timeout",
    "ray_address": "--ray-address",
    "gpus_per_job": "--gpus-per-job",
}
_CONFIGURED = (
    "rules_dirs",
    "params",
    "severity",
    "preset",
    "policy",
    "model_suppressions",
    "expect",
    "classes",
    "batch_size",
    "devices",
)
"""Settings that decide what a check says and that no call of the service takes."""


def server_options(function: Any) -> Any:
    """Where the check is done."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def server_of(options: dict[str, Any]) -> Client | None:
    """The service that was asked for, None for a check here.

    Raises UsageError for options that do not fit that, and where the variable of the token is not set.
    """
    name = options["token_env"]
    if options["server"] is None:
        if name is not None:
            raise UsageError("--token-env goes with --server")
        return None
    given = [option for key, option in _HERE_ONLY.items() if options[key] not in (None, (), False)]
    if given:
        raise UsageError(f"{given[0]} does not go with --server", hint="the service has its own settings for that")
    token = os.environ.get(name or _TOKEN, "").strip() or None
    if name is not None and token is None:
        raise UsageError(f"--token-env names {name}, and that variable is not set")
    from initadvisor.service.client import Client

    client = Client(options["server"], token)
    if client.address.in_the_clear:
        click.echo(f"warning: the token goes to {client.address} unencrypted; https would hide it", err=True)
    return client


def check_there(
    client: Client, prepared: Sequence[tuple[Checker, Run]], options: dict[str, Any], session: Session, *, details: bool
) -> list[Report]:
    """The reports on all targets, which are all given in before the first is waited for."""
    unheard = sorted({key for _, run in prepared for key in _CONFIGURED if getattr(run.settings, key)})
    if unheard:
        names = ", ".join(key.replace("_", "-") for key in unheard)
        click.echo(f"warning: the service judges by its own settings; not used here: {names}", err=True)
    given: list[CheckView | Exception] = []
    try:
        for _, run in prepared:
            given.append(_give(client, run, options))
        reports = []
        for number, (checker, run) in enumerate(prepared):
            reports.append(_collect(client, checker, run, given[number], options, session, details=details))
            given[number] = ServiceError("collected")
    except BaseException:
        _abandon(client, given)
        raise
    return reports


def _give(client: Client, run: Run, options: dict[str, Any]) -> CheckView | Exception:
    from initadvisor.cli.progress import ProgressLine

    settings, is_file = run.checked, Path(run.target).exists() or Path(run.target).suffix in (".onnx", ".safetensors")
    with ProgressLine(run.target, enabled=not options["quiet"]) as progress:
        try:
            return client.submit(
                run.target if is_file else None,
                reference=None if is_file else run.target,
                select=settings.select,
                ignore=settings.ignore,
                extend_select=settings.extend_select,
                preview=settings.preview,
                input_shapes=settings.load.input_shapes or (),
                progress=progress,
            )
        except InitAdvisorError as error:
            return error


def _collect(
    client: Client,
    checker: Checker,
    run: Run,
    given: CheckView | Exception,
    options: dict[str, Any],
    session: Session,
    *,
    details: bool,
) -> Report:
    from initadvisor.cli.progress import ProgressLine

    try:
        if isinstance(given, Exception):
            raise given
        with ProgressLine(run.target, enabled=not options["quiet"]) as progress:
            check = client.wait(given.id, progress=progress)
            if check.status != "done":
                why = check.failure.message if check.failure else f"the check was {check.status}"
                raise ServiceError(f"{run.target}: {why}", kind=check.failure.kind if check.failure else check.status)
            report = _as_ours(client.report(given.id), checker, run, details=details)
    except InitAdvisorError as error:
        fail(error, session)
        return checker.not_checked(run.target, error)
    if report.error is not None:
        from initadvisor.report.escape import visible

        click.echo(f"error: {visible(report.error.message)}", err=True)
    return report


def _as_ours(report: Report, checker: Checker, run: Run, *, details: bool) -> Report:
    """The report under the target's own name, with commands for this machine and this project's suppressions.

    What a service says to type is not shown: a command is copied without much thought, and comes from here alone.
    """
    from initadvisor.engine.accepting import suppressed
    from initadvisor.engine.command import fix_command
    from initadvisor.rules.vocabulary import clean_text

    command = fix_command(run.target, run.checked, run.checked.load) if Path(run.target).exists() else None
    changes: dict[str, Any] = {"target": clean_text(run.target)}
    if not details:
        changes["details"] = None
    changes["findings"] = tuple(
        finding.model_copy(update={"fix": finding.fix.model_copy(update={"command": command})})
        if finding.fix is not None and finding.fix.command is not None
        else finding
        for finding in report.findings
    )
    return suppressed(report.model_copy(update=changes), run.checked.suppressions, checker.rules, list(checker.known))


def _abandon(client: Client, given: Sequence[CheckView | Exception]) -> None:
    """Spare the service the checks that nobody waits for any more."""
    for check in given:
        if not isinstance(check, Exception):
            with contextlib.suppress(InitAdvisorError):
                client.cancel(check.id)
