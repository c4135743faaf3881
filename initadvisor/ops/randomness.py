"""Dropout and random draws."""

from __future__ import annotations

from initadvisor.ops.registry import register
from initadvisor.ops.spelling import functional

register(
    "dropout",
    "random",
    "input",
    transparent=True,
    torch=functional("dropout dropout1d dropout2d dropout3d", "input p training inplace", inplace=True)
    | {"torch.native_dropout": "input p training"}
    | functional("feature_dropout", "input p training", inplace=True)
    | {
        f"torchvision.ops.{path}": "input p mode training"
        for path in ("stochastic_depth", "stochastic_depth.stochastic_depth")
    },
    onnx={"Dropout": {"ratio": "p"}},
    onnx_inputs={"Dropout": "input p training"},
)
register(
    "alpha_dropout",
    "random",
    "input",
    transparent=True,
    torch=functional("alpha_dropout feature_alpha_dropout", "input p training inplace", inplace=True),
)
register(
    "randn",
    "random",
    "",
    torch={"torch.randn": "size...", "torch.randn_like": "like"},
    onnx={"RandomNormal": {"scale": "std", "shape": "size"}, "RandomNormalLike": {"scale": "std"}},
    onnx_inputs={"RandomNormalLike": "like"},
)
register("normal", "random", "mean std", torch={"torch.normal": "mean std size"})
register(
    "rand",
    "random",
    "",
    torch={"torch.rand": "size...", "torch.rand_like": "like"},
    onnx={"RandomUniform": {"shape": "size"}, "RandomUniformLike": {}},
    onnx_inputs={"RandomUniformLike": "like"},
)
register(
    "randint",
    "random",
    "",
    torch={"torch.randint": "low high size", "torch.randint_like": "like low high", "torch.randperm": "n"},
)
register(
    "bernoulli",
    "random",
    "input",
    torch={"torch.bernoulli": "input", "torch.Tensor.bernoulli": "input", "torch.Tensor.bernoulli_": "input p"},
    onnx="Bernoulli",
)
register(
    "multinomial",
    "random",
    "input",
    torch={f"torch.{prefix}multinomial": "input num_samples replacement" for prefix in ("", "Tensor.")},
    onnx="Multinomial",
)
register("poisson", "random", "input", torch="torch.poisson")
for _name, _parameters in (
    ("normal_", "input mean std"),
    ("uniform_", "input low high"),
    ("exponential_", "input lambd"),
    ("random_", "input low high"),
    ("log_normal_", "input mean std"),
    ("cauchy_", "input median sigma"),
    ("geometric_", "input p"),
):
    register(f"draw_{_name.rstrip('_')}", "random", "input", torch={f"torch.Tensor.{_name}": _parameters})
