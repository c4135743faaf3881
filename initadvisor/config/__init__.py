"""Configuration: the nearest `initadvisor.toml`, or pyproject.toml with a table `[tool.initadvisor]`."""

from initadvisor.config.reading import FILE_NAME, find, read
from initadvisor.config.settings import Config, NamedTarget

__all__ = ["FILE_NAME", "Config", "NamedTarget", "find", "read"]
