"""`initadvisor serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from initadvisor.cli.main import EXIT_OK, debug_option
from initadvisor.cli.options import configuration_of
from initadvisor.errors import MissingExtraError, UsageError

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _size(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    text = value.strip().lower().removesuffix("b").removesuffix("i")
    number, unit = (text[:-1], text[-1]) if text[-1:] in ("k", "m", "g") else (text, "")
    if not number.isdecimal() or not 0 < int(number[:20]) < 1 << 50:
        raise click.BadParameter(f"{value!r} is not a size such as 512M or 4G", ctx=ctx, param=parameter)
    return int(number) * _UNITS[unit]


def _references(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for value in values:
        name, equals, target = value.partition("=")
        if not (name and equals and target):
            raise click.BadParameter(f"{value!r} is not of the form NAME=TARGET", ctx=ctx, param=parameter)
        found[name] = target
    return found


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; beyond loopback, a token is needed."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
@click.option(
    "--workers", type=click.IntRange(1, 512), default=1, show_default=True, help="Checks at a time, one core each."
)
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="Where checks run: here, or on the Ray cluster of RAY_ADDRESS, whose nodes share the data folder.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("initadvisor-data"),
    show_default=True,
    help="Folder for uploads and the default database; one server at a time uses it.",
)
@click.option(
    "--database-url",
    envvar="INITADVISOR_DATABASE_URL",
    metavar="URL",
    help="postgresql://... for PostgreSQL; better in INITADVISOR_DATABASE_URL, as all here see a command line. "
    " [default: SQLite in the data folder]",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with a token a line; else INITADVISOR_TOKEN.",
)
@click.option(
    "--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help="A name that this service goes by."
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    callback=_references,
    metavar="NAME=TARGET",
    help="A model that may be checked by name. Targets such as package.module:factory RUN CODE.",
)
@click.option("--max-upload", default="512M", show_default=True, callback=_size, metavar="SIZE")
@click.option("--max-queue", type=click.IntRange(min=1), default=1000, show_default=True, help="Checks that may wait.")
@click.option(
    "--memory", default="4G", show_default=True, callback=_size, metavar="SIZE", help="Address space of a check."
)
@click.option("--cpu-seconds", type=click.IntRange(min=1), default=300, show_default=True, help="Computing of a check.")
@click.option(
    "--wall-seconds", type=click.FloatRange(min=0.1), default=600.0, show_default=True, help="Time of a check."
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0.1),
    default=20.0,
    show_default=True,
    help="Seconds that a client may take for the head of a request, and pause within a body.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read which rules run from this configuration file, not the nearest one.",
)
@debug_option
def serve(**options: Any) -> int:
    """Serve checks over HTTP: an API, a queue with limited workers, and a page with a history.

    Takes files of data only (ONNX, safetensors). Needs the extra: pip install "initadvisor[serve]".
    """
    try:
        from initadvisor.service import serving
    except ImportError as error:
        raise MissingExtraError("the service", "serve") from error
    from initadvisor.service.settings import Limits, ServiceSettings, tokens_of

    if options["engine"] == "ray":
        from initadvisor.sweep.cluster import ray_module

        ray_module()
    rules = configuration_of(options)
    data_dir: Path = options["data_dir"]
    settings = ServiceSettings(
        data_dir=data_dir.absolute(),
        host=options["host"],
        port=options["port"],
        database_url=_absolute(options["database_url"]),
        workers=options["workers"],
        engine=options["engine"],
        max_upload=options["max_upload"],
        max_queue=options["max_queue"],
        tokens=tokens_of(options["token_file"]),
        allowed_hosts=options["allowed_hosts"],
        references=options["references"],
        header_seconds=options["patience"],
        idle_seconds=options["patience"],
        limits=Limits(memory=options["memory"], cpu=options["cpu_seconds"], wall=options["wall_seconds"]),
        rules={
            "select": list(rules.select),
            "ignore": list(rules.ignore),
            "extend_select": list(rules.extend_select),
            "preview": rules.preview,
            "rules_dirs": [str(folder.absolute()) for folder in rules.rules_dirs],
            "params": dict(rules.params),
            "severity": dict(rules.severity),
        },
    )
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    click.echo(f"initadvisor serves on http://{shown}:{settings.port}/ (data in {settings.data_dir})", err=True)
    try:
        serving.serve(settings)
    except SystemExit as left:
        raise UsageError(f"cannot listen on {shown}:{settings.port}", hint="is the port taken?") from left
    return EXIT_OK


def _absolute(url: str | None) -> str | None:
    """An SQLite file is meant relative to where the command is typed, whatever folder the server stands in."""
    prefix = "sqlite:///"
    if url and url.startswith(prefix) and not os.path.isabs(url[len(prefix) :]):
        return f"{prefix}{os.path.abspath(url[len(prefix) :])}"
    return url
