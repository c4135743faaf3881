"""Which initializer drew a tensor, with what gain and fan mode, and whether training has moved it since."""

from initadvisor.analysis.fingerprint.decide import fingerprint
from initadvisor.analysis.fingerprint.evidence import Evidence, Place
from initadvisor.analysis.fingerprint.settle import settle

__all__ = ["Evidence", "Place", "fingerprint", "settle"]
