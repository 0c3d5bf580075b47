"""Layers whose windows slide over an image or a sequence: convolutions, their transposes, pools.

In: x, kernels.  Out: z, δ and gradients.
Knows: formulas, layers/sequences for its masks, and the files beside it.
"""
