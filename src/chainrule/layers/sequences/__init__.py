"""Layers over the steps of a sequence: recurrence, attention, embeddings, masks.

In: x of shape (steps, features).  Out: z, δ and gradients.
Knows: formulas, layers/activations, layers/norms and the files beside it.
"""
