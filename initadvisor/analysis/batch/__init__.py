"""Facts of data: a batch or a loader, its labels, and a second set to hold against it. NumPy only."""

from initadvisor.analysis.batch.expected import Preprocessing
from initadvisor.analysis.batch.measure import batch_facts
from initadvisor.analysis.batch.samples import Samples, gather

__all__ = ["Preprocessing", "Samples", "batch_facts", "gather"]
