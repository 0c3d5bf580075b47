"""Activations, entry by entry and over the features of a position.

In: z.  Out: a = f(z), and δ through f.
Knows: formulas and the files beside it.
"""
