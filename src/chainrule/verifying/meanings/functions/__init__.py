"""Functions that are no layer or loss of ours and that people write backwards of: attention, rotary positions,
gated units; their formulas by hand, in one way or in several.

In: a name, its options.  Out: the Functions that it may mean.
Knows: layers, losses, and of verifying forms.
"""
