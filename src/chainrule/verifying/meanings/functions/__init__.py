"""Functions that are no layer or loss of ours and that people write backwards of, their formulas by hand:
attention, rotary positions, gated units.

In: a name, its options.  Out: the Functions that it may mean.
Knows: layers, and of verifying forms.
"""
