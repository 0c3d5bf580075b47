"""The mathematics: primitive operations that compute on arrays and build expression trees on symbols.

In: arrays, or symbols.  Out: values, or trees that are evaluated, derived, printed, read entry by entry.
Knows: base.  Within: rules <- expression <- primitives <- evaluation, derivation, printing, elements.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule.formulas.calling import call_formula
from chainrule.formulas.expression import (
    Expression,
    Index,
    Named,
    Number,
    Operation,
    Over,
    Symbol,
    replace_at,
    substitute,
    walk,
)
from chainrule.formulas.primitives.arrays import (
    arranged,
    beside,
    block_diagonal,
    broadcast_samples,
    canvas,
    chosen,
    correlate,
    count_features,
    count_outputs,
    count_positions,
    count_values,
    diagonal_blocks,
    even_features,
    every_feature,
    features_between,
    features_placed,
    first_features,
    first_position,
    flatten,
    gate,
    gate_place,
    inside,
    interleave,
    kernel_at,
    kernel_place,
    largest_feature,
    matmul,
    max_features,
    max_positions,
    mean_features,
    mean_groups,
    mean_samples,
    odd_features,
    one_hot,
    other_features,
    per_feature,
    place,
    sinusoids,
    sum_entries,
    sum_features,
    sum_outputs,
    sum_positions,
    sum_samples,
    sum_steps,
    transpose,
    unflatten,
    window,
)
from chainrule.formulas.primitives.axes import along, merged, permuted, reshaped, sum_near
from chainrule.formulas.primitives.bias_column import with_ones, with_zero_bias, without_bias
from chainrule.formulas.primitives.declaring import named, primitive
from chainrule.formulas.primitives.distances import by_distance, sloped, sum_distances
from chainrule.formulas.primitives.edges import framed, shuffled, tent, unframed, unshuffled
from chainrule.formulas.primitives.elementwise import (
    absolute,
    add,
    cos,
    divide,
    erf,
    exp,
    expm1,
    fit,
    floor,
    greater,
    log,
    log1p,
    maximum,
    minimum,
    multiply,
    negative,
    ones_like,
    power,
    raised,
    ratio,
    sin,
    sqrt,
    stretch,
    subtract,
    tanh,
    where,
    xlogy,
    zeros_like,
)
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.primitives.over import argmax_over, max_over, mean_over, stack_over, sum_over
from chainrule.formulas.primitives.paths import count_labels, log_paths, path_shares
from chainrule.formulas.primitives.steps import (
    join_heads,
    mix_steps,
    not_later,
    repeat_heads,
    seen_by,
    split_heads,
    step_products,
    sum_heads,
    swap_steps,
    turned,
)
from chainrule.formulas.rules import binders, rules

if TYPE_CHECKING:
    from chainrule.formulas.derivation import adjoint
    from chainrule.formulas.evaluation import evaluate
    from chainrule.formulas.printing import Equation, latex, mathml, text
    from chainrule.formulas.printing.notation import (
        MATRIX,
        NG,
        NIELSEN,
        NOTATIONS,
        SEED_000,
        SEED_004,
        TUTORIAL,
        UFLDL,
        Letter,
        Notation,
        notation_from,
    )
    from chainrule.formulas.tracing import Formulas, trace

# What only trees need is loaded when first asked for: half of the import time, and training needs none.
_LAZY = {
    "adjoint": "derivation",
    "evaluate": "evaluation",
    **dict.fromkeys(
        ("TUTORIAL", "SEED_000", "SEED_004", "UFLDL", "NG", "MATRIX", "NIELSEN", "NOTATIONS"),
        "printing.notation",
    ),
    **dict.fromkeys(("Letter", "Notation", "notation_from"), "printing.notation"),
    **dict.fromkeys(("Equation", "latex", "mathml", "text"), "printing"),
    **dict.fromkeys(("Formulas", "trace"), "tracing"),
}


def _as_text(tree: Expression) -> str:
    from chainrule.formulas.printing import text

    return text(tree)


Expression.show = _as_text


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


__all__ = [
    "MATRIX",
    "NG",
    "NIELSEN",
    "NOTATIONS",
    "SEED_000",
    "SEED_004",
    "TUTORIAL",
    "UFLDL",
    "Equation",
    "Expression",
    "Formulas",
    "Grid",
    "Index",
    "Letter",
    "Named",
    "Notation",
    "Number",
    "Operation",
    "Over",
    "Symbol",
    "absolute",
    "add",
    "adjoint",
    "along",
    "argmax_over",
    "arranged",
    "beside",
    "binders",
    "block_diagonal",
    "broadcast_samples",
    "by_distance",
    "call_formula",
    "canvas",
    "chosen",
    "correlate",
    "cos",
    "count_features",
    "count_labels",
    "count_outputs",
    "count_positions",
    "count_values",
    "diagonal_blocks",
    "divide",
    "erf",
    "evaluate",
    "even_features",
    "every_feature",
    "exp",
    "expm1",
    "features_between",
    "features_placed",
    "first_features",
    "first_position",
    "fit",
    "flatten",
    "floor",
    "framed",
    "gate",
    "gate_place",
    "greater",
    "inside",
    "interleave",
    "join_heads",
    "kernel_at",
    "kernel_place",
    "largest_feature",
    "latex",
    "log",
    "log1p",
    "log_paths",
    "mathml",
    "matmul",
    "max_features",
    "max_over",
    "max_positions",
    "maximum",
    "mean_features",
    "mean_groups",
    "mean_over",
    "mean_samples",
    "merged",
    "minimum",
    "mix_steps",
    "multiply",
    "named",
    "negative",
    "not_later",
    "notation_from",
    "odd_features",
    "one_hot",
    "ones_like",
    "other_features",
    "path_shares",
    "per_feature",
    "permuted",
    "place",
    "power",
    "primitive",
    "raised",
    "ratio",
    "repeat_heads",
    "replace_at",
    "reshaped",
    "rules",
    "seen_by",
    "shuffled",
    "sin",
    "sinusoids",
    "sloped",
    "split_heads",
    "sqrt",
    "stack_over",
    "step_products",
    "stretch",
    "substitute",
    "subtract",
    "sum_distances",
    "sum_entries",
    "sum_features",
    "sum_heads",
    "sum_near",
    "sum_outputs",
    "sum_over",
    "sum_positions",
    "sum_samples",
    "sum_steps",
    "swap_steps",
    "tanh",
    "tent",
    "text",
    "trace",
    "transpose",
    "turned",
    "unflatten",
    "unframed",
    "unshuffled",
    "walk",
    "where",
    "window",
    "with_ones",
    "with_zero_bias",
    "without_bias",
    "xlogy",
    "zeros_like",
]
