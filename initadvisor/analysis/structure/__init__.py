"""Graph -> layers: what each weight is, what surrounds it and what it is for, read from the graph alone."""

from initadvisor.analysis.structure.describe import describe

__all__ = ["describe"]
