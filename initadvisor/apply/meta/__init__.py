"""Starts for few-shot tasks: meta-learned over a user's tasks (MAML, ANIL, Reptile), or made from a support set.

    def sampler(generator):                        # one task at a time, at random
        return (support_x, support_y), (query_x, query_y)

    state = initadvisor.meta_start(model, sampler, method="maml")
    model.load_state_dict(state)                   # fine-tune from here on a new task

The module itself is left as it was: every method returns a state dict.
"""

from __future__ import annotations

from initadvisor.apply.meta.conditioned import Conditioned, conditioned
from initadvisor.apply.meta.inner import fine_tune
from initadvisor.apply.meta.maml import anil, maml, meta_gradient
from initadvisor.apply.meta.reptile import reptile
from initadvisor.apply.meta.start import meta_start
from initadvisor.apply.meta.tasks import Batch, Sampler, Task

__all__ = [
    "Batch",
    "Conditioned",
    "Sampler",
    "Task",
    "anil",
    "conditioned",
    "fine_tune",
    "maml",
    "meta_gradient",
    "meta_start",
    "reptile",
]
