"""What the installed model libraries know of pretrained weights: which exist, for what, under which terms."""

from initadvisor.frontends.registry.known import Known, PretrainedWeights, known_architectures, named, weights_of

__all__ = ["Known", "PretrainedWeights", "known_architectures", "named", "weights_of"]
