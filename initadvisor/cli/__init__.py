"""The command line: `initadvisor check`, `rule`, `schema`. Data goes to stdout; errors and progress to stderr."""

from initadvisor.cli.main import main

__all__ = ["main"]
