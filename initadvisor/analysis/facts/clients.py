"""Facts of the weights that several clients hold, as federated averaging puts them together."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from initadvisor.analysis.facts.measure import measure


class ClientsFacts(BaseModel):
    """All clients together (`clients.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int | None = measure("Clients", "1")
    identical: bool | None = measure("Whether all weights of all clients are bit for bit the same")
    correlation: float | None = measure(
        "Median over pairs of clients of the correlation between their weight matrices' elements: 1 for one start, "
        "about 0 for starts drawn with different seeds",
        "1",
    )
    shrink: float | None = measure(
        "Root mean square of the average of the clients' weights over that of the clients' own: 1 for one start, "
        "1/sqrt(n) for n independent draws",
        "1",
    )


class ClientFacts(BaseModel):
    """One client against the others (`client.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    missing: int | None = measure("Tensors that most clients have and this one does not", "tensors")
    unexpected: int | None = measure("Tensors that this client has and most do not", "tensors")
    mismatched: int | None = measure("Tensors in another shape than most clients have them", "tensors")
    at: str | None = measure("The first tensor that is missing, unexpected or of another shape")
    non_finite: int | None = measure("Elements that are NaN or infinite", "elements")
    non_finite_at: str | None = measure("The first tensor that holds such an element")
    scale: float | None = measure(
        "Root mean square of a weight over the median client's, in the tensor where that is furthest from 1", "1"
    )
    scale_at: str | None = measure("The tensor of `scale`")
    correlation: float | None = measure("Median over the other clients of the correlation with their weights", "1")
    moved: float | None = measure(
        "Norm of the change since the server's weights over the median client's: 0 for a client that did not train", "1"
    )
