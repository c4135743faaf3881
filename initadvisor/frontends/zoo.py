"""The names that a pattern such as `timm:resnet*` stands for, from the libraries that know them."""

from __future__ import annotations

import fnmatch

from initadvisor.errors import MissingExtraError, NotFoundError

_EXTRAS = {"torchvision": "torch", "timm": "timm", "hf": "transformers", "transformers": "transformers"}
LIBRARIES = tuple(_EXTRAS)
"""Prefixes of targets that are models of a library."""


def matching(library: str, pattern: str) -> list[str]:
    """Targets of a library whose names match a glob, in alphabetical order.

    Of torchvision and timm, models; of transformers ("hf"), model types, each with the library's own configuration:
    nothing is downloaded. Raises NotFoundError where none matches, MissingExtraError without the library.
    """
    try:
        names = _names(library)
    except ImportError as error:
        raise MissingExtraError(f"finding the models {library}:{pattern}", _EXTRAS[library]) from error
    found = sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))
    if not found:
        hint = "names on the hub cannot be listed: give them one by one" if library in ("hf", "transformers") else None
        raise NotFoundError(f"{library} has no model that matches {pattern!r}", hint=hint)
    return [f"{library}:{name}" for name in found]


def _names(library: str) -> list[str]:
    if library == "torchvision":
        from torchvision import models

        return list(models.list_models())
    if library == "timm":
        import timm

        return list(timm.list_models())
    import transformers

    return list(transformers.CONFIG_MAPPING)
