"""`describe`: fill the layers and the coverage of a graph, the same way for every source.

Keys of `Layer.attrs` that this package sets:
    norm: eps, momentum, num_groups, normalized_shape, running_mean, running_var, channels, decomposed,
        weight_offset (the scale is this plus the parameter), synchronised, evaluating (of a live module).
    weight path: reparametrised (the operator between parameter and weight), weight_scale (a constant factor on it,
        None for an unknown one), adapts (the layer that a LoRA pair is added to), pair (the factor before this one).
    recurrent: recurrent_level. embedding: tied_fan_in, tied_fan_out, tied_node (its second use as a projection).
    surroundings: residual_block (number of the add), previous (names of the layers before), stretch_previous (those
        of them with no norm, skip, attention or product between), behind_gate (the function of the gate before),
        feeds_linear (the one layer behind with nothing non-linear between), feeds_residual, input_norm (the norm
        behind the input, activations aside), input_activation, input_reset, split (readers apply different
        functions), scale_erased, gated_by_product, gates_product, slope (the scale layer of a PReLU).
"""

from __future__ import annotations

from initadvisor.analysis.structure.attention import read_attention
from initadvisor.analysis.structure.biases import read_biases
from initadvisor.analysis.structure.by_shape import layers_by_shape
from initadvisor.analysis.structure.coverage import read_coverage
from initadvisor.analysis.structure.draft import Draft
from initadvisor.analysis.structure.fates import read_fates
from initadvisor.analysis.structure.gates import read_gates
from initadvisor.analysis.structure.layers import read_weights
from initadvisor.analysis.structure.leftovers import read_leftovers
from initadvisor.analysis.structure.norms import read_norms
from initadvisor.analysis.structure.origins import Origins
from initadvisor.analysis.structure.recurrent import read_recurrent
from initadvisor.analysis.structure.residual import read_additions
from initadvisor.analysis.structure.roles import read_roles
from initadvisor.analysis.structure.summary import read_summary
from initadvisor.analysis.structure.surroundings import read_surroundings
from initadvisor.analysis.structure.weights import WeightPaths
from initadvisor.analysis.structure.wiring import Wiring
from initadvisor.graph import Graph


def describe(graph: Graph) -> Graph:
    """Fill `graph.layers`, `graph.coverage` and `graph.summary` in place; return the graph.

    The cost is linear in the graph. A graph without edges (a state dict) gets layers from names and shapes alone.
    """
    graph.layers.clear()
    wiring = Wiring(graph)
    draft = Draft(graph, wiring, WeightPaths(wiring))
    if not graph.edges:
        graph.layers.extend(layers_by_shape(graph))
        read_coverage(draft)
        return graph
    read_weights(draft)
    read_recurrent(draft)
    read_norms(draft)
    read_biases(draft)
    read_leftovers(draft)
    additions = read_additions(draft)
    origins = Origins(draft, additions)
    attentions = read_attention(draft, additions)
    gates = read_gates(draft, origins)
    read_fates(draft, additions, gates)
    read_surroundings(draft, origins)
    read_roles(draft, origins, gates, attentions)
    graph.layers.sort(key=lambda layer: -1 if layer.node is None else layer.node)
    read_summary(draft, additions, attentions)
    read_coverage(draft)
    return graph
