"""The command line, one module a command. Data goes to stdout; errors and progress to stderr."""

from initadvisor.cli.main import main

__all__ = ["main"]
