"""Impulse decoding: what a backward pass does with a single 1 in δ, where no cause is known.

In: their answers to single impulses, and the right ones.  Out: sentences of what was seen.
Knows: texts and places of verifying.
"""
