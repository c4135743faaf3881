"""A checkpoint put into a module: what fits, what is adapted, what is drawn anew, what is left."""

from initadvisor.apply.pretrained.matching import Action, Entry, Head, Places, match
from initadvisor.apply.pretrained.transfer import transfer

__all__ = ["Action", "Entry", "Head", "Places", "match", "transfer"]
