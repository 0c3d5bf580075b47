"""Trying: many changes of one text run one after the other, by themselves and two at once;
a rule of JAX by NumPy meanwhile.

In: a place with changes of it, all gradients as often as they are asked for.  Out: those worth a closer look.
Knows: of verifying source's changes and written, and subjects.
"""
