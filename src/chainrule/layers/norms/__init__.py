"""Normalisations: over the batch, the features, groups of channels, and by the channels beside each other.

In: x, γ and β.  Out: what is normalised, δ and gradients.
Knows: formulas and the files beside it.
"""
