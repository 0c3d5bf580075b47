"""The primitive operations: what each computes on arrays, its adjoint and its layout, in one entry.

In: arrays, or symbols.  Out: arrays, or trees.
Knows: expression and rules beside this folder.
"""
