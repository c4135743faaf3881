"""Whole checks of real models: healthy ones, planted faults, exported twins."""
