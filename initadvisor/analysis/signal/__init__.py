"""The signal without running it: second moments forward and back over the whole graph, from shapes and statistics."""

from initadvisor.analysis.signal.conditions import Conditions, WeightStatistics, planned, read_weights
from initadvisor.analysis.signal.prediction import LayerSignal, Prediction, predict
from initadvisor.analysis.signal.propagate import Propagation, propagate

__all__ = [
    "Conditions",
    "LayerSignal",
    "Prediction",
    "Propagation",
    "WeightStatistics",
    "planned",
    "predict",
    "propagate",
    "read_weights",
]
