"""What a formula takes and gives: the same code computes on arrays and builds trees on symbols."""

from __future__ import annotations

from typing import Any, TypeAlias

# An array, samples last, a number, or an Expression.  Any to a type checker: the operators of NumPy's arrays
# and of expressions have no type in common.
Value: TypeAlias = Any
Values = dict[str, Value]  # by name: gradients, or what stands before a step
