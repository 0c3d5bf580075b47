"""Layers for the columns of a table: some of them, a factor for each, waves of a number, a range.

In: x of shape (features,), of some layers with positions in front.  Out: z, δ and gradients.
Knows: formulas and the files beside it.
"""
