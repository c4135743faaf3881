"""Facts of a batch of data: what a model is fed, what it is asked for, and how two sets of it differ."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure

_PREPROCESSING = "of the weights' published preprocessing"


class ExpectedFacts(BaseModel):
    """An image batch against the preprocessing that pretrained weights were trained with (`input.expected.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str | None = measure("Name of the weights")
    outside: float | None = measure(
        f"Share of the values that no image can have after the normalization {_PREPROCESSING}", "1"
    )
    offset: float | None = measure("Largest |mean| of a channel, which the normalization aims to make 0", "1")
    scale: float | None = measure("Standard deviation over all channels, which the normalization aims to make 1", "1")
    on_grid: float | None = measure(
        f"Share of the values that are one of 256 levels once the normalization {_PREPROCESSING} is undone", "1"
    )
    on_grid_reversed: float | None = measure("The same with the channels in reverse order (BGR for RGB)", "1")
    on_grid_as_bytes: float | None = measure(
        "Share of the values that are k/255 or k as they stand: not normalized", "1"
    )
    side_ratio: float | None = measure("Shorter side of the images over the one that the weights were trained at", "1")


class InputFacts(BaseModel):
    """One input tensor of the batch, samples first (`input.*`). Statistics are over finite values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["image", "features", "sequence", "tokens"] | None = measure(
        "What it looks like: 4 axes with 1 to 4 channels, 2 axes, more axes, or integers"
    )
    dtype: str | None = measure("Storage type")
    samples: int | None = measure("Samples looked at", "samples")
    channels: int | None = measure("Channels of an image, else features", "1")
    mean: float | None = measure("Mean", "input")
    std: float | None = measure("Standard deviation", "input")
    rms: float | None = measure("Root mean square", "input")
    min: float | None = measure("Smallest value", "input")
    max: float | None = measure("Largest value", "input")
    non_finite: float | None = measure("Share of the values that are NaN or infinite", "1")
    center: float | None = measure(
        "|mean| over standard deviation, the largest over channels or features that vary",
        "1",
        source="LeCun et al., Efficient BackProp, 1998: inputs of mean zero",
    )
    center_at: int | None = measure("The channel or feature of `center`", "index")
    scale_spread: float | None = measure(
        "Largest over smallest standard deviation of the channels or features that vary",
        "1",
        source="LeCun et al., Efficient BackProp, 1998: inputs of equal variance",
    )
    constant_channels: int | None = measure("Channels, or features, that are the same value everywhere", "1")
    constant_share: float | None = measure("The same as a share", "1")
    dark_samples: float | None = measure(
        "Share of the images with over a quarter of their values at the batch's smallest", "1"
    )
    bright_samples: float | None = measure(
        "Share of the images with over a quarter of their values at the batch's largest", "1"
    )
    cast: float | None = measure(
        "Largest distance of a channel's mean from the mean of all, in standard deviations", "1"
    )
    cast_at: int | None = measure("The channel of `cast`", "index")
    gray: bool | None = measure("Whether all channels hold the same picture")
    duplicates: float | None = measure("Share of the samples that are equal, bit for bit, to an earlier one", "1")
    overlap: float | None = measure("Share of the second set's samples that are, bit for bit, in the first", "1")
    shift: float | None = measure(
        "Largest two-sample Kolmogorov-Smirnov distance over the sets' per-sample statistics",
        "1",
        source="Rabanser et al., Failing Loudly, 2019, arXiv 1810.11953",
    )
    shift_p: float | None = measure("Its p-value, times the number of statistics compared (Bonferroni)", "1")
    shift_at: str | None = measure("The statistic of `shift`")
    unreadable: int | None = measure(
        "Files of the set that hold no readable sample; absent where there are none", "files"
    )
    first_unreadable: str | None = measure("The first of them, and why")
    second_samples: int | None = measure("Samples of the second set looked at", "samples")
    expected: ExpectedFacts | None = measure(
        "Against the preprocessing of the pretrained weights, where they are known"
    )


class LabelFacts(BaseModel):
    """What the model is asked for (`labels.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["classes", "values", "masks"] | None = measure(
        "One integer a sample, numbers, or integers at each place"
    )
    samples: int | None = measure("Samples looked at", "samples")
    classes: int | None = measure("Number of classes of the task, where it is known", "classes")
    seen: int | None = measure("Different classes seen", "classes")
    min: float | None = measure("Smallest label; -100, which torch's losses ignore, is left out", "label")
    max: float | None = measure("Largest label", "label")
    outside: int | None = measure("Labels below 0, or not below the number of classes", "labels")
    non_finite: float | None = measure("Share of the labels that are NaN or infinite", "1")
    imbalance: float | None = measure("Most frequent over least frequent class seen", "1")
    largest_share: float | None = measure("Share of the most frequent class", "1")
    gaps: int | None = measure("Classes below the largest label that were not seen", "classes")
    std: float | None = measure("Standard deviation of labels that are numbers", "label")
    mean: float | None = measure("Mean of labels that are numbers", "label")
    shift_p: float | None = measure("p-value that both sets' labels come from one distribution", "1")
    shift: float | None = measure("Total variation distance between the sets' label frequencies", "1")
