"""One entry of a formula as arithmetic of single numbers.

In: a tree, its values, an index.  Out: the sums and products of entries that make the entry.
Knows: formulas/primitives and the files beside it.
"""
