"""References to code that builds a model: `package.module:factory`, `torchvision:`, `timm:` and `hf:` names.

Building runs code: the user's factory, or a library's. Nothing is downloaded: weights are drawn as the library
draws them, from seed 0, so that two checks of one name see the same numbers.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initadvisor.errors import FormatError, MissingExtraError, NotFoundError, TargetCodeError
from initadvisor.frontends.options import LoadOptions

if TYPE_CHECKING:
    import torch

    from initadvisor.graph import Graph

MEMORY_SHARE = 0.5
"""Share of the machine's memory that drawn weights may take; a larger model is built without numbers."""


def load(target: str, options: LoadOptions) -> Graph:
    """Build what a reference names and record it. Raises NotFoundError, TargetCodeError or MissingExtraError."""
    try:
        from initadvisor.frontends import torch_module
    except ImportError as error:
        raise MissingExtraError(f"reading {target!r}", "torch") from error
    return torch_module.load(build(target, options), options, target=target)


def build(target: str, options: LoadOptions | None = None, seed: int = 0) -> torch.nn.Module:
    """Return the module that a reference names, its weights drawn, or on the meta device where they would not fit.

    seed: of torch's generator while it is built.
    """
    options = options or LoadOptions()
    prefix, _, name = target.partition(":")
    if not name:
        raise NotFoundError(f"{target!r} names nothing after the colon")
    makers = {"torchvision": _torchvision, "timm": _timm, "hf": _huggingface, "transformers": _huggingface}
    try:
        make = makers[prefix](name) if prefix in makers else _factory(prefix, name)
    except ImportError as error:
        if prefix in makers:
            extra = {"torchvision": "torch", "timm": "timm"}.get(prefix, "transformers")
            raise MissingExtraError(f"reading {target!r}", extra) from error
        raise
    with _quiet(), _user_code(target):
        return _module(target, make, library=prefix in makers, meta=options.meta, seed=seed)


def _module(target: str, make: Callable[[], Any], library: bool, meta: bool | None, seed: int = 0) -> torch.nn.Module:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weightless = meta or (meta is None and library and _too_large(make))
        built = _weightless(make) if weightless else make()
    if not isinstance(built, torch.nn.Module):
        raise FormatError(f"{target!r} gave a {type(built).__name__}, not a torch.nn.Module")
    return built


def _weightless(make: Callable[[], Any]) -> Any:
    import torch

    from initadvisor.frontends.torch_module.building import Weightless, forget_unfilled

    with Weightless():
        made = make()
    if isinstance(made, torch.nn.Module):
        forget_unfilled(made)
    return made


def _too_large(make: Callable[[], Any]) -> bool:
    """Whether the weights would fill the memory; learnt by building without them, which costs little."""
    try:
        size = sum(p.numel() * p.element_size() for p in _weightless(make).parameters())
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except Exception:  # a model that cannot be built without numbers is built with them
        return False
    return bool(size > MEMORY_SHARE * memory)


def _torchvision(name: str) -> Callable[[], Any]:
    from torchvision import models

    if name not in models.list_models():
        raise NotFoundError(f"torchvision has no model {name!r}", hint=_near(name, models.list_models()))
    weights = {"weights": None}
    if "weights_backbone" in _parameters(models.get_model_builder(name)):
        weights["weights_backbone"] = None
    return lambda: models.get_model(name, **weights)


def _timm(name: str) -> Callable[[], Any]:
    import timm

    if not timm.is_model(name):
        raise NotFoundError(f"timm has no model {name!r}", hint=_near(name.split(".")[0], timm.list_models()))
    return lambda: timm.create_model(name, pretrained=False)


def _huggingface(name: str) -> Callable[[], Any]:
    from initadvisor.frontends.torch_module.huggingface import maker

    return maker(name)


def _factory(module_name: str, path: str) -> Callable[[], Any]:
    """The user's own `package.module:factory`, imported from the working directory."""
    target = f"{module_name}:{path}"
    owner = _found(module_name, path)
    if isinstance(owner, sys.modules["torch"].nn.Module if "torch" in sys.modules else ()):
        return lambda: owner
    if not callable(owner):
        raise FormatError(f"{target!r} is a {type(owner).__name__}, neither a module nor a function that makes one")
    return owner  # type: ignore[no-any-return]


def data_of(target: str) -> Any:
    """What `package.module:name` stands for, called where it is a function: a loader, a data set or arrays.

    Raises NotFoundError, and TargetCodeError where the code raises; a loader raises the same while it is read.
    """
    module, _, path = target.partition(":")
    if not path:
        raise NotFoundError(f"{target!r} names nothing after the colon")
    found = _found(module, path)
    if not callable(found) or hasattr(found, "__getitem__") or hasattr(found, "__iter__"):
        return _watched(target, found)
    with _quiet(), _user_code(target):
        return _watched(target, found())


def _watched(target: str, made: Any) -> Any:
    """The same, with what its iteration raises turned into an error that says where."""
    is_loader = hasattr(made, "__iter__") and not hasattr(made, "dtype") and not isinstance(made, dict | list | tuple)
    return _batches(target, made) if is_loader else made


def _batches(target: str, loader: Any) -> Iterator[Any]:
    batches = None
    while True:
        with _quiet(), _user_code(target):
            batches = iter(loader) if batches is None else batches
            try:
                batch = next(batches)
            except StopIteration:
                return
        yield batch


def _found(module_name: str, path: str) -> Any:
    """The attribute of a module that a reference names."""
    with _quiet(), _user_code(f"{module_name}:{path}"):
        owner: Any = _import(module_name)
        for part in path.split("."):
            if not hasattr(owner, part):
                public = [n for n in dir(owner) if not n.startswith("_")]
                raise NotFoundError(f"{module_name!r} has no {path!r}", hint=_near(part, public))
            owner = getattr(owner, part)
    return owner


def _import(name: str) -> Any:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            near = [p.stem for p in Path.cwd().glob("*.py")]
            raise NotFoundError(f"there is no Python module {name!r}", hint=_near(name, near)) from error
        raise
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


@contextlib.contextmanager
def _user_code(target: str) -> Iterator[None]:
    """Turn whatever other people's code raises into one TargetCodeError that says where."""
    from initadvisor.errors import InitAdvisorError

    try:
        yield
    except (InitAdvisorError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise TargetCodeError(f"{target!r} raised {describe(error)}") from error


def describe(error: BaseException) -> str:
    """An exception on one line, with the last line of code outside this package that it went through."""
    text = " ".join(str(error).split())
    text = f"{type(error).__name__}: {text[:300]}{'...' if len(text) > 300 else ''}" if text else type(error).__name__
    own = str(Path(__file__).parent.parent)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((own, "<frozen"))]
    user = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith(sys.base_prefix)]
    last = (user or frames)[-1:]
    return f"{text} at {last[0].filename}:{last[0].lineno}" if last else text


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What the code prints goes to stderr: stdout belongs to the report."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _near(name: str, known: list[str]) -> str | None:
    close = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else None


def _parameters(function: Callable[..., Any]) -> set[str]:
    import inspect

    return set(inspect.signature(function).parameters)
