"""The specification: forward and backward pass by the layers' formulas, in float64.

In: a network, a batch, an objective.  Out: passes, a Step.
Knows: everything up to networks; no kernel.
"""

from chainrule.reference.backpropagation import (
    Derivation,
    Head,
    backpropagate,
    data_loss,
    derive,
    forward,
    head_of,
    summed,
)
from chainrule.reference.executor import (
    ReferenceExecutor,
)
from chainrule.reference.passes import (
    Backward,
    Pass,
    PassContext,
    Values,
    all_passes,
    layer_backward,
    layer_forward,
    leaf_passes,
    parameters_of,
    run_backward,
    run_forward,
    target_columns,
    to_columns,
    to_rows,
)

__all__ = [
    "Backward",
    "Derivation",
    "Head",
    "Pass",
    "PassContext",
    "ReferenceExecutor",
    "Values",
    "all_passes",
    "backpropagate",
    "data_loss",
    "derive",
    "forward",
    "head_of",
    "layer_backward",
    "layer_forward",
    "leaf_passes",
    "parameters_of",
    "run_backward",
    "run_forward",
    "summed",
    "target_columns",
    "to_columns",
    "to_rows",
]
