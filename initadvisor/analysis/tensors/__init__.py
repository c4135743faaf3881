"""Measuring tensors: one streaming pass for sums and bounds, bounded samples for what is costly."""
