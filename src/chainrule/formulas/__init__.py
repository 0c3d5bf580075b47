"""The mathematics: primitive operations that compute on arrays and build expression trees on symbols."""

from __future__ import annotations

from chainrule.formulas.adjoint import adjoint
from chainrule.formulas.arrays import (
    broadcast_samples,
    chosen,
    correlate,
    count_features,
    count_outputs,
    flatten,
    kernel_at,
    kernel_place,
    largest_feature,
    matmul,
    max_features,
    mean_features,
    place,
    sum_entries,
    sum_features,
    sum_outputs,
    sum_positions,
    sum_samples,
    transpose,
    unflatten,
    window,
)
from chainrule.formulas.elementwise import (
    absolute,
    add,
    divide,
    erf,
    exp,
    fit,
    greater,
    log,
    log1p,
    maximum,
    multiply,
    negative,
    ones_like,
    power,
    sqrt,
    stretch,
    subtract,
    tanh,
    where,
    xlogy,
)
from chainrule.formulas.evaluate import evaluate
from chainrule.formulas.expression import Expression, Index, Named, Number, Operation, Over, Symbol
from chainrule.formulas.expression import replace_at, substitute, walk
from chainrule.formulas.grid import Grid
from chainrule.formulas.over import argmax_over, max_over, mean_over, stack_over, sum_over
from chainrule.formulas.notation import SEED_000, SEED_004, Letter, Notation
from chainrule.formulas.printing import Equation, latex, mathml, text
from chainrule.formulas.rules import binders, named, primitive, rules
from chainrule.formulas.trace import Formulas, call_formula, trace
