"""The spellings of one torch operator: function, method, in-place forms, special functions."""

from __future__ import annotations


def spell(names: str, parameters: str, *, inplace: bool = False, method: bool = True, also: str = "") -> dict[str, str]:
    """Return torch spelling -> positional parameter names for every short name in `names`.

    `names` and `also` are space-separated; `also` holds full spellings ("torch.Tensor.__add__") that take the same
    parameters. `inplace` adds the trailing-underscore forms, `method` those of `torch.Tensor`.
    """
    spellings = {}
    for name in names.split():
        spellings[f"torch.{name}"] = parameters
        if method:
            spellings[f"torch.Tensor.{name}"] = parameters
        if inplace:
            spellings[f"torch.{name}_"] = parameters
            if method:
                spellings[f"torch.Tensor.{name}_"] = parameters
    spellings.update(dict.fromkeys(also.split(), parameters))
    return spellings


def functional(names: str, parameters: str, *, inplace: bool = False, also: str = "") -> dict[str, str]:
    """Like `spell` for operators of `torch.nn.functional`, with the plain `torch.` and `torch._C._nn.` spellings."""
    spellings = {}
    for name in names.split():
        for form in (name, f"{name}_") if inplace else (name,):
            for prefix in ("torch.nn.functional.", "torch.", "torch._C._nn."):
                spellings[f"{prefix}{form}"] = parameters
    spellings.update(dict.fromkeys(also.split(), parameters))
    return spellings
