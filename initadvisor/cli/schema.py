"""`initadvisor schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from initadvisor.cli.main import debug_option
from initadvisor.cli.output import write


@click.command()
@click.option("--config", "configuration", is_flag=True, help="That of initadvisor.toml instead, for editors.")
@click.option("--keys", is_flag=True, help="The keys of initadvisor.toml as Markdown tables instead, for people.")
@click.option("--output-file", type=click.Path(dir_okay=False, path_type=Path), help="Write here, not to stdout.")
@debug_option
def schema(configuration: bool, keys: bool, output_file: Path | None) -> None:
    """Print the JSON Schema of the report that --output-format json gives, or of the configuration."""
    if keys:
        from initadvisor.config.schema import keys_page

        write(keys_page(), output_file)
        return
    if configuration:
        from initadvisor.config.schema import config_schema

        made = config_schema()
    else:
        from initadvisor.report.model import json_schema

        made = json_schema()
    write(json.dumps(made, indent=2) + "\n", output_file)
