"""ONNX files as graphs: onnx's protobuf for the structure, our own memory-mapped reader for the weights, no torch."""

from initadvisor.frontends.onnx_model.loading import load

__all__ = ["load"]
