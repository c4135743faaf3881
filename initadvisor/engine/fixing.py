"""A plan put into a new file: what can be fixed, where the result goes, what would change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from initadvisor.errors import MissingExtraError, UsageError
from initadvisor.frontends.options import LoadOptions

if TYPE_CHECKING:
    import torch

    from initadvisor.graph import Graph
    from initadvisor.plan import Plan
    from initadvisor.report.plan_text import Change


class Fixable(Protocol):
    """A target that a plan can be written for. `subject` is what a `Checker` examines."""

    name: str
    subject: Any

    def default_file(self) -> Path:
        """Where the result goes if nobody says."""
        ...

    def refuse(self, file: Path) -> None:
        """Raise UsageError for a file that the result cannot be written to."""
        ...

    def exchange_norms(self, kind: str) -> Sequence[str]:
        """Put other norms in the place of the batch norms, and return what there is to say about it.

        Raises UsageError where the target cannot be changed like that.
        """
        ...

    def write(self, plan: Plan, graph: Graph, file: Path) -> Sequence[str]:
        """Write the target, examined as `graph`, with the plan applied, and return what there is to say about it.

        The file is there as a whole or not at all. Raises UsageError where it cannot be written.
        """
        ...


def fixable(target: str, load: LoadOptions) -> Fixable:
    """The target of a fix; a reference is built, which runs its code.

    Raises UsageError for what cannot be fixed, and what `initadvisor.frontends.load` raises.
    """
    if is_onnx(target):
        return OnnxFile(target)
    if is_reference(target):
        return Reference(target, load)
    raise UsageError(
        f"{target} cannot be fixed: a fix writes ONNX files, and the state dict of what a reference builds",
        hint="give model.onnx, package.module:factory or torchvision:NAME",
    )


def is_fixable(target: str) -> bool:
    """Whether a fix can write this target: of a name alone, nothing is read."""
    return is_onnx(target) or is_reference(target)


def is_onnx(target: str) -> bool:
    """Whether a target is an ONNX file in its binary form."""
    return target.lower().endswith(".onnx")


def is_reference(target: str) -> bool:
    """Whether a target is one that code builds, such as "torchvision:resnet50"."""
    return ":" in target and not os.path.exists(target)


class OnnxFile:
    """An ONNX file; the result is another one, with external data of its own where the model has some."""

    def __init__(self, target: str) -> None:
        self.name = self.subject = target

    def default_file(self) -> Path:
        """`model.fixed.onnx` beside the model."""
        path = Path(self.name)
        return path.with_name(f"{path.stem}.fixed.onnx")

    def refuse(self, file: Path) -> None:
        """The original is never replaced, and the result must be found as ONNX again."""
        if file.suffix.lower() != ".onnx":
            raise UsageError(f"{file}: the fixed model is an ONNX file", hint="name a .onnx file")
        if file.exists() and os.path.exists(self.name) and os.path.samefile(file, self.name):
            raise UsageError(f"{file} is the model itself, which is never changed", hint="-o FILE names another")

    def exchange_norms(self, kind: str) -> Sequence[str]:
        """The operators of a file are those that its code exported."""
        raise UsageError(
            f"the norms of {self.name} cannot be exchanged: a fix changes elements of an ONNX file, not its operators",
            hint=f'initadvisor.convert_norms(model, "{kind}") before the export',
        )

    def write(self, plan: Plan, graph: Graph, file: Path) -> Sequence[str]:
        """Write the model with other elements; everything else stays as it is."""
        from initadvisor.apply import onnx_file

        try:
            return onnx_file.apply(self.name, file, graph, plan).notes
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror or error}") from error


class Reference:
    """A module that a reference builds; the result is its state dict in a .safetensors file."""

    def __init__(self, target: str, load: LoadOptions) -> None:
        try:
            from initadvisor.frontends import references, torch_module  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(f"fixing {target!r}", "torch") from error
        self.name = target
        self.subject: torch.nn.Module = references.build(target, load)

    def default_file(self) -> Path:
        """`factory.fixed.safetensors` in the working directory."""
        stem = self.name.partition(":")[2].rpartition("/")[2]
        plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in stem).strip(".") or "model"
        return Path(f"{plain}.fixed.safetensors")

    def refuse(self, file: Path) -> None:
        """A state dict goes to a .safetensors file."""
        if file.suffix != ".safetensors":
            raise UsageError(
                f"{file}: the fixed weights of {self.name} are a state dict", hint="name a .safetensors file"
            )

    def exchange_norms(self, kind: str) -> Sequence[str]:
        """Exchange them in the module that was built."""
        from initadvisor.apply.norms import convert_norms

        done = convert_norms(self.subject, kind)  # type: ignore[arg-type]
        if not done.norms:
            return [f"{path} was left: {why}" for path, why in done.skipped.items()] or ["it has no batch norm"]
        keeps = "the function in evaluation is as before" if done.keeps_function else "it has to be trained anew"
        return [
            f"{len(done.norms)} batch norms became {kind}; {keeps}; in your code: "
            f'initadvisor.convert_norms(model, "{kind}")',
            *(f"{path} was left: {why}" for path, why in done.skipped.items()),
        ]

    def write(self, plan: Plan, graph: Graph, file: Path) -> Sequence[str]:
        """Apply the plan to the module and save every entry of its state dict, tied ones under each name."""
        from initadvisor.apply.torch_module import apply

        apply(self.subject, plan)
        save_state(self.subject, self.name, file)
        return ()


def save_state(module: torch.nn.Module, name: str, file: Path) -> None:
    """Write the state dict of a module to a .safetensors file, there as a whole or not at all.

    Raises UsageError for an entry that is no tensor, MissingExtraError without safetensors.
    """
    import torch

    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingExtraError("writing a .safetensors file", "torch") from error
    entries = module.state_dict()
    odd = [key for key, value in entries.items() if not isinstance(value, torch.Tensor)]
    if odd:
        raise UsageError(
            f"the state dict of {name} holds {odd[0]!r}, which is no tensor",
            hint="change the model in your code, and save it your own way",
        )
    # Shared storage is refused by the format: each name gets elements of its own.
    tensors = {key: value.detach().clone().contiguous() for key, value in entries.items()}
    _whole(file, lambda part: save_file(tensors, part, metadata={"format": "pt"}))


def _whole(file: Path, save: Any) -> None:
    """Write through a temporary file beside the result, so that there is never half of one."""
    import tempfile

    part = ""
    try:
        handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        os.close(handle)
        save(part)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)
        os.replace(part, file)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        if part and os.path.exists(part):
            os.unlink(part)


def rehearse(plan: Plan) -> Iterator[Change]:
    """What a plan does to each parameter that it draws, from the very elements that a fix would write."""
    import numpy as np

    from initadvisor.initializers import Key
    from initadvisor.report.plan_text import Change

    for step in plan.draws:
        assert step.spec is not None
        dtype = np.float64 if step.dtype == "float64" else np.float32
        drawn = step.spec.draw(step.shape, Key(plan.seed, step.parameter), step.layout, dtype)
        mean = float(drawn.mean(dtype=np.float64)) if drawn.size else 0.0
        std = float(drawn.std(dtype=np.float64)) if drawn.size else 0.0
        yield Change(step, step.mean_before, step.std_before, mean, std)
