"""Facts about one tensor: what its elements are like, and which initializer drew them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure
from initadvisor.analysis.facts.probe import ParameterProbeFacts


class DrawFacts(BaseModel):
    """Where the elements of a tensor come from, as far as their statistics tell (`draw.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str | None = measure(
        "The initializer by name: pytorch_default, kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform, "
        "lecun_normal, lecun_uniform, lecun_truncated_normal, truncated_normal, normal, uniform, orthogonal, "
        "delta_orthogonal, identity, dirac, sparse, zeros, ones, constant, xavier_uniform_fused, embedding_normal, "
        "scaled_normal, scaled_uniform (another gain over a fan); trained or unknown where none fits"
    )
    family: str | None = measure(
        "The kind of initializer: default, he, xavier, lecun, scaled (another gain over a fan), orthogonal, identity, "
        "constant, sparse, fixed (a standard deviation that no fan explains), trained, unknown"
    )
    distribution: str | None = measure(
        "The distribution of the elements: normal, truncated_normal, uniform, orthogonal, sparse, constant, other"
    )
    mode: str | None = measure("Which fan sets the standard deviation: fan_in, fan_out, fan_avg or none")
    gain: float | None = measure("Gain over the plain form: std * sqrt(fan) for the fan that `mode` names", "1")
    std: float | None = measure("Standard deviation of the distribution that the elements were drawn from", "weight")
    bound: float | None = measure("Bound of a uniform or truncated distribution", "weight")
    confidence: float | None = measure("Posterior probability of `method` among the initializers considered", "1")
    trained: bool | None = measure("Whether the tensor departs from every random draw as trained tensors do")
    trained_score: float | None = measure(
        "Evidence for training: the largest z-score over the departures from an independent draw", "1"
    )
    departure: str | None = measure(
        "The largest departure by name: mean, row means, row spreads, column means, column spreads, spectrum, "
        "distribution, orthogonality, scale, neighbours"
    )
    pristine: bool | None = measure(
        "Whether the elements lie exactly on the lattice of a random generator: proof that nothing moved them since"
    )
    alternatives: tuple[str, ...] | None = measure(
        "Other methods, as method/mode, that these elements cannot be told apart from"
    )


class TensorFacts(BaseModel):
    """Facts about one stored tensor (`tensor.*`); None means unknown."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = measure("Name of the parameter")
    dtype: str | None = measure("Storage type")
    shape: tuple[int, ...] | None = measure("Shape as stored", "elements")
    rank: int | None = measure("Number of axes", "axes")
    count: int | None = measure("Number of elements", "elements")
    buffer: bool | None = measure("Whether it is a buffer (running statistics and the like)")
    trainable: bool | None = measure("Whether the optimizer may change it; an ONNX file does not say")
    frozen: bool | None = measure("Whether the source says that the optimizer may not change it")
    mean: float | None = measure("Mean of the finite elements", "weight")
    std: float | None = measure("Population standard deviation of the finite elements", "weight")
    rms: float | None = measure("Root of the mean square of the finite elements", "weight")
    min: float | None = measure("Smallest finite element", "weight")
    max: float | None = measure("Largest finite element", "weight")
    absmax: float | None = measure("Largest magnitude of a finite element", "weight")
    mean_z: float | None = measure("Mean in units of its standard error: mean * sqrt(count) / std", "1")
    nan_count: int | None = measure("Number of NaN", "elements")
    inf_count: int | None = measure("Number of infinities", "elements")
    zero_fraction: float | None = measure("Share of elements that are exactly zero", "1")
    subnormal_fraction: float | None = measure("Share of elements that are subnormal in the storage type", "1")
    kurtosis: float | None = measure("Fourth standardised moment: 3 for a normal, 1.8 for a uniform", "1")
    constant: bool | None = measure("Whether all elements are equal")
    duplicate_rows: float | None = measure(
        "Share of output rows or filters that equal an earlier one bit by bit (rows of zeros count)", "1"
    )
    row_sums: float | None = measure(
        "Mean square of the sums of output rows over that of independent elements: 0 where every row sums to zero", "1"
    )
    mirrored: bool | None = measure(
        "Whether it is a matrix whose rows or columns come in pairs of opposite sign (looks-linear)"
    )
    levels: int | None = measure(
        "Evenly spaced values that each row is made of, the most of any row looked at; 0 for more than 256 or another "
        "spacing",
        "1",
    )
    row_std_spread: float | None = measure(
        "95th over 5th percentile of the standard deviation within each output row or filter", "1"
    )
    effective_rank: float | None = measure(
        "Effective rank of a sampled submatrix as a share of the effective rank of a random one of its shape",
        "1",
        source="exponential of the entropy of the normalised singular values (Roy and Vetterli, EUSIPCO 2007)",
    )
    outlier_ratio: float | None = measure(
        "Largest magnitude over the expected one of as many draws of the fitted distribution", "1"
    )
    uninitialised: float | None = measure("How much the bits look like memory that was never filled, 0 to 1", "1")
    copies: int | None = measure("Number of other tensors of the model that are bit-identical to it", "tensors")
    draw: DrawFacts | None = measure("Which initializer drew it")
    probe: ParameterProbeFacts | None = measure("What a probe measured of its gradient and updates")
