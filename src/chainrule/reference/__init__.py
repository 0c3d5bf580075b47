"""The specification: forward and backward pass by the layers' formulas, in float64.

In: a network, a batch, an objective.  Out: passes, a Step.
Knows: networks and all below; no kernel.
"""

from chainrule.reference.formulas import (
    Array,
    Context,
    Pass,
    ReferenceExecutor,
    Values,
    all_passes,
    backpropagate,
    data_loss,
    forward,
    is_pair,
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
    "Array",
    "Context",
    "Pass",
    "ReferenceExecutor",
    "Values",
    "all_passes",
    "backpropagate",
    "data_loss",
    "forward",
    "is_pair",
    "layer_backward",
    "layer_forward",
    "leaf_passes",
    "parameters_of",
    "run_backward",
    "run_forward",
    "target_columns",
    "to_columns",
    "to_rows",
]
