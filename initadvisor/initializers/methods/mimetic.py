"""Mimetic start of attention: the structure that trained transformers show, from closed forms."""

from __future__ import annotations

import numpy as np

from initadvisor.initializers.registry import array_method


@array_method("mimetic_value_output")
def mimetic_value_output(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    part: str,
    stream: str,
    noise: float = 0.4,
    diagonal: float = 0.4,
) -> np.ndarray:
    """The value or output projection of an attention layer, whose product is a noisy negative identity.

    Formula: W_out W_value = noise Z - diagonal I, Z ~ N(0, 1 / d), split by its singular values; both are (d, d) as
        torch stores them. `part` is "value" or "output"; both name the same `stream`, from which Z is drawn.
    Use: small vision transformers and small data.
    Caveat: with a norm before and a residual around; both projections must be square.
    Source: Trockman and Kolter 2023, arXiv 2305.09828.
    """
    d = shape[0]
    product = noise * rng.standard_normal((d, d)) / d**0.5 - diagonal * np.eye(d)
    u, s, v = np.linalg.svd(product)
    root = np.sqrt(s)
    factor: np.ndarray = u * root if part == "output" else root[:, None] * v
    return factor


@array_method("mimetic_query_key")
def mimetic_query_key(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    part: str,
    stream: str,
    heads: int,
    noise: float = 0.7,
    diagonal: float = 0.7,
) -> np.ndarray:
    """The query or key projection of an attention layer, whose heads compare a token with itself.

    Formula: W_q^T W_k = noise Z + diagonal I for each head, Z ~ N(0, 1 / d), cut to the rank of the head by its
        singular values; W is (d, d) as torch stores it, heads stacked. `part` is "query" or "key".
    Use: small vision transformers and small data.
    Caveat: the two constants are quoted from memory of the paper.
    Source: Trockman and Kolter 2023, arXiv 2305.09828.
    """
    d, rank = shape[1], shape[0] // heads
    blocks = []
    for _ in range(heads):
        product = noise * rng.standard_normal((d, d)) / d**0.5 + diagonal * np.eye(d)
        u, s, v = np.linalg.svd(product)
        root = np.sqrt(s[:rank])[:, None]
        blocks.append(root * u.T[:rank] if part == "query" else root * v[:rank])
    return np.concatenate(blocks)
