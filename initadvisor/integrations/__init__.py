"""The places where people already are: pytest, Lightning, Hugging Face, plain training loops, trackers of experiments.

Each module needs the library that it is for and none of the others; importing this package needs none of them.
"""
