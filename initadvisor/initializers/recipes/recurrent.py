"""Recurrent networks: LSTM, GRU, plain RNN, IRNN."""

from __future__ import annotations

from initadvisor.graph import Graph, Layer
from initadvisor.initializers.recipes.choice import Choice, Choices, recipe
from initadvisor.initializers.recipes.places import in_blocks, of_kind
from initadvisor.initializers.spec import InitSpec

_GATES = {"input": "i", "forget": "f", "cell": "g", "output": "o"}


@recipe("recurrent")
def recurrent(graph: Graph, forget: float = 1.0, t_max: float | None = None) -> Choices:
    """Orthogonal recurrence, Xavier inputs, a forget gate that remembers; each gate's block on its own.

    Formula: W_hh orthogonal a gate, W_ih Xavier uniform a gate, biases 0 but for b_f = `forget` (1) in the
        recurrent bias, or chrono biases for `t_max` steps.
    Use: LSTM, GRU, tanh RNN.
    Caveat: torch and ONNX add two biases: only one of them gets the forget bias.
    Source: Saxe et al. 2013, arXiv 1312.6120; Jozefowicz et al. 2015; Tallec and Ollivier 2018, arXiv 1804.11188.
    """
    chosen: Choices = {}
    for layer in of_kind(graph, "recurrent"):
        hidden = layer.role == "recurrent_hidden"
        spec = InitSpec("orthogonal") if hidden else InitSpec("xavier_uniform")
        reason = "an orthogonal recurrence neither fades nor grows" if hidden else "each gate has its own fan"
        chosen[layer.weight or ""] = Choice(in_blocks(layer, spec), reason)
        if layer.bias is not None:
            chosen[layer.bias] = _bias(layer, forget, t_max)
    return chosen


@recipe("irnn")
def irnn(graph: Graph) -> Choices:
    """A ReLU recurrence that starts by copying its state.

    Formula: W_hh = I, biases 0, W_ih N(0, .001^2).
    Use: plain RNNs with ReLU on long sequences.
    Caveat: gradients can still explode once it learns: clip them.
    Source: Le et al. 2015, arXiv 1504.00941.
    """
    chosen: Choices = {}
    for layer in of_kind(graph, "recurrent"):
        hidden = layer.role == "recurrent_hidden"
        spec = InitSpec("identity") if hidden else InitSpec("normal", {"std": 0.001})
        chosen[layer.weight or ""] = Choice(spec, "the state starts as a copy of itself" if hidden else "small inputs")
        if layer.bias is not None:
            chosen[layer.bias] = Choice(InitSpec("zeros"), "IRNN starts biases at zero")
    return chosen


def _bias(layer: Layer, forget: float, t_max: float | None) -> Choice:
    names = [block.name for block in sorted(layer.blocks, key=lambda block: block.start)]
    gates = "".join(_GATES.get(name, name[:1]) for name in names)
    if layer.op != "lstm" or layer.role != "recurrent_hidden" or sorted(gates) != sorted("ifgo"):
        return Choice(InitSpec("zeros"), "biases start at zero")
    if t_max is not None:
        spec = InitSpec("chrono_bias", {"t_max": t_max, "gates": gates})
        return Choice(spec, f"forget gates spread over memories of 2 to {t_max:g} steps")
    return Choice(InitSpec("lstm_bias", {"forget": forget, "gates": gates}), "the forget gate starts open")
