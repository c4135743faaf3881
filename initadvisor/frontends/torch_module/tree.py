"""The last step of the ladder: modules and their weights, without edges between them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from initadvisor.frontends.torch_module.parameters import Names
from initadvisor.graph import Coverage, Graph, Node, Value

_NORMS: tuple[tuple[str, tuple[type[nn.Module], ...]], ...] = (
    ("batch_norm", (nn.modules.batchnorm._BatchNorm,)),
    ("instance_norm", (nn.modules.instancenorm._InstanceNorm,)),
    ("layer_norm", (nn.LayerNorm,)),
    ("group_norm", (nn.GroupNorm,)),
    ("rms_norm", (nn.RMSNorm,)),
)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def held(part: nn.Module, name: str) -> torch.Tensor | None:
    """A parameter or buffer of a module by name, the original of a parametrized one; nothing is computed."""
    for table in (part._parameters, part._buffers):
        if name in table:
            return table[name]
    for stem in (f"{name}_orig", f"{name}_v"):
        if stem in part._parameters:
            return part._parameters[stem]
    parametrized = part._modules.get("parametrizations")
    chain = parametrized._modules.get(name) if parametrized is not None else None
    if chain is None:
        return None
    originals = {**chain._parameters, **chain._buffers}
    return originals.get("original", originals.get("original1"))


def module_tree(module: nn.Module, target: str, notes: list[str]) -> Graph:
    """A graph of one node for each module of a known kind; `edges` is False, inputs that carry signal are absent."""
    names = Names(module)
    graph = Graph(target=target, source="torch", parameters=names.parameters, edges=False)
    graph.coverage = Coverage("module tree", notes=[*notes, "no graph: rules that need one are not evaluated"])
    values: dict[str, int] = {}

    def value(tensor: torch.Tensor | None) -> int | None:
        name = names.name(tensor) if tensor is not None else None
        if name is None:
            return None
        if name not in values:
            parameter = names.parameters[name]
            values[name] = len(graph.values)
            graph.values.append(
                Value(len(graph.values), name, parameter.shape, parameter.dtype, "parameter", parameter=name)
            )
        return values[name]

    for path, part in module.named_modules():
        for op, tensors, attrs in _nodes(part):
            inputs = [value(t) if isinstance(t, torch.Tensor) else None for t in tensors]
            native = f"{type(part).__module__}.{type(part).__qualname__}"
            graph.nodes.append(Node(len(graph.nodes), op, tuple(inputs), (), attrs, path, 0, native))
    return graph


def _nodes(part: nn.Module) -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
    """(operator, inputs in slot order with None for signals, attributes) of one module of a known kind."""
    own = partial(held, part)
    for op, kinds in _NORMS:
        if isinstance(part, kinds):
            statistics = [own("running_mean"), own("running_var")]
            tensors = [None, own("weight"), own("bias")]
            yield op, tensors + (statistics if op in ("batch_norm", "instance_norm") else []), {"eps": part.eps}
            return
    if isinstance(part, nn.Linear):
        yield "linear", [None, own("weight"), own("bias")], {}
    elif isinstance(part, (*_CONVOLUTIONS, *_TRANSPOSED)):
        keys = ("stride", "padding", "dilation", "groups", "output_padding")
        attrs = {k: getattr(part, k) for k in keys}
        yield "conv" if isinstance(part, _CONVOLUTIONS) else "conv_transpose", [None, own("weight"), own("bias")], attrs
    elif isinstance(part, nn.Embedding):
        yield "embedding", [None, own("weight")], {"padding_idx": part.padding_idx}
    elif isinstance(part, nn.EmbeddingBag):
        yield "embedding_bag", [None, own("weight")], {"mode": part.mode}
    elif isinstance(part, nn.Bilinear):
        yield "bilinear", [None, None, own("weight"), own("bias")], {}
    elif isinstance(part, nn.PReLU):
        yield "prelu", [None, own("weight")], {}
    elif isinstance(part, nn.RNNBase):
        op = {"RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu"}.get(part.mode, part.mode.lower())
        states = [None, None] if op == "lstm" else [None]
        attrs = {"num_layers": part.num_layers, "bidirectional": part.bidirectional, "has_biases": part.bias}
        yield op, [None, *states, *(own(n) for n in part._flat_weights_names)], attrs
    elif isinstance(part, nn.RNNCellBase):
        op = {nn.LSTMCell: "lstm_cell", nn.GRUCell: "gru_cell"}.get(type(part), "rnn_tanh_cell")
        states = [None, None] if op == "lstm_cell" else [None]
        yield op, [None, *states, own("weight_ih"), own("weight_hh"), own("bias_ih"), own("bias_hh")], {}
    elif isinstance(part, nn.MultiheadAttention):
        projections = [own("q_proj_weight"), own("k_proj_weight"), own("v_proj_weight")]
        out = part.out_proj
        tensors = [None, None, None, own("in_proj_weight"), own("in_proj_bias"), own("bias_k"), own("bias_v")]
        tensors += [held(out, "weight"), held(out, "bias"), None, None, *projections]
        yield "multi_head_attention", tensors, {"num_heads": part.num_heads}
