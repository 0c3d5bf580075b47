"""Layers whose windows slide over an image or a sequence: convolutions, their transposes, pools.

In: x, kernels.  Out: z, δ and gradients.
Knows: formulas, and the files of layers/ beside this folder.
"""
