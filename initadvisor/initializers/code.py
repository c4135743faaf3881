"""Source text that draws the same distribution under PyTorch, Keras or Flax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from initadvisor.errors import UsageError
from initadvisor.initializers.distributions import Constant, Distribution, Normal, TruncatedNormal, Uniform

Framework = Literal["pytorch", "keras", "flax"]


@dataclass(frozen=True, slots=True)
class Code:
    """A piece of source text and the definitions that it needs.

    `text` is a statement on `tensor` for pytorch, an initializer expression for keras and flax.
    """

    text: str
    helpers: tuple[str, ...] = ()


def check_framework(framework: str) -> None:
    """Raise UsageError for a framework that no code can be written for."""
    if framework not in get_args(Framework):
        raise UsageError(f"there is no code for {framework!r}", hint="choose pytorch, keras or flax")


def number(value: float) -> str:
    """A float as short source text that reads back as the same number to 9 digits."""
    text = f"{value:.9g}"
    return text if any(c in text for c in ".en") else f"{text}.0"


_KERAS_TRUNCATED = '''\
def truncated_normal(mean, sigma, cut):
    """N(mean, sigma^2) cut at +-cut sigma (keras cuts at 2 only): what falls outside is drawn again."""

    def initializer(shape, dtype=None):
        values = RNG.standard_normal(shape)
        outside = np.abs(values) > cut
        while outside.any():
            values[outside] = RNG.standard_normal(int(outside.sum()))
            outside = np.abs(values) > cut
        return keras.ops.convert_to_tensor(mean + sigma * values, dtype=dtype)

    return initializer
'''

ARRAY_HELPERS = {
    "pytorch": "",
    "keras": '''\
def from_array(draw):
    """An initializer that returns the numpy array which `draw` makes."""

    def initializer(shape, dtype=None):
        return keras.ops.convert_to_tensor(np.asarray(draw(RNG)).reshape(shape), dtype=dtype)

    return initializer
''',
    "flax": '''\
def from_array(draw):
    """An initializer that returns the numpy array which `draw` makes; the key seeds numpy."""

    def initializer(key, shape, dtype=jnp.float32):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
        return jnp.asarray(np.asarray(draw(rng)).reshape(shape), dtype)

    return initializer
''',
}


def distribution_code(distribution: Distribution, framework: Framework) -> Code:
    """The code of an element-wise distribution."""
    check_framework(framework)
    return {"pytorch": _pytorch, "keras": _keras, "flax": _flax}[framework](distribution)


def array_code(expression: str, framework: Framework, helpers: tuple[str, ...]) -> Code:
    """The code of an array that a numpy `expression` makes, with `rng` a numpy generator in scope."""
    check_framework(framework)
    if framework == "pytorch":
        return Code(
            f"tensor.copy_(torch.as_tensor({expression.replace('(rng,', '(RNG,')}, dtype=tensor.dtype))", helpers
        )
    return Code(f"from_array(lambda rng: {expression})", (*helpers, ARRAY_HELPERS[framework]))


def _pytorch(d: Distribution) -> Code:
    if isinstance(d, Constant):
        simple = {0.0: "nn.init.zeros_(tensor)", 1.0: "nn.init.ones_(tensor)"}
        return Code(simple.get(d.value, f"nn.init.constant_(tensor, {number(d.value)})"))
    if isinstance(d, Normal):
        return Code(f"nn.init.normal_(tensor, mean={number(d.mean)}, std={number(d.std)})")
    low, high = number(d.mean - d.bound), number(d.mean + d.bound)
    if isinstance(d, Uniform):
        return Code(f"nn.init.uniform_(tensor, a={low}, b={high})")
    sigma = number(d.scale)
    return Code(f"nn.init.trunc_normal_(tensor, mean={number(d.mean)}, std={sigma}, a={low}, b={high})")


def _keras(d: Distribution) -> Code:
    if isinstance(d, Constant):
        simple = {0.0: "keras.initializers.Zeros()", 1.0: "keras.initializers.Ones()"}
        return Code(simple.get(d.value, f"keras.initializers.Constant({number(d.value)})"))
    if isinstance(d, Normal):
        return Code(f"keras.initializers.RandomNormal(mean={number(d.mean)}, stddev={number(d.std)}, seed=SEEDS)")
    if isinstance(d, Uniform):
        low, high = number(d.mean - d.bound), number(d.mean + d.bound)
        return Code(f"keras.initializers.RandomUniform(minval={low}, maxval={high}, seed=SEEDS)")
    mean, sigma = number(d.mean), number(d.scale)
    if d.cut == 2.0:
        return Code(f"keras.initializers.TruncatedNormal(mean={mean}, stddev={sigma}, seed=SEEDS)")
    return Code(f"truncated_normal({mean}, {sigma}, {number(d.cut)})", (_KERAS_TRUNCATED,))


def _flax(d: Distribution) -> Code:
    if isinstance(d, Constant):
        simple = {0.0: "jax.nn.initializers.zeros", 1.0: "jax.nn.initializers.ones"}
        return Code(simple.get(d.value, f"jax.nn.initializers.constant({number(d.value)})"))
    head = "lambda key, shape, dtype=jnp.float32: "
    plus = "" if d.mean == 0.0 else f"{number(d.mean)} + "
    if isinstance(d, Normal):
        return Code(f"{head}{plus}{number(d.std)} * jax.random.normal(key, shape, dtype)")
    if isinstance(d, Uniform):
        low, high = number(d.mean - d.bound), number(d.mean + d.bound)
        return Code(f"{head}jax.random.uniform(key, shape, dtype, minval={low}, maxval={high})")
    assert isinstance(d, TruncatedNormal)
    cut = number(d.cut)
    return Code(f"{head}{plus}{number(d.scale)} * jax.random.truncated_normal(key, -{cut}, {cut}, shape, dtype)")
