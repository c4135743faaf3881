"""Activations: their numpy functions, derivatives and kinks (`ACTIVATIONS`), and their operator entries."""

from initadvisor.ops.activations import operators, softmax
from initadvisor.ops.activations.curves import ACTIVATIONS, ActivationFunction

__all__ = ["ACTIVATIONS", "ActivationFunction", "operators", "softmax"]
