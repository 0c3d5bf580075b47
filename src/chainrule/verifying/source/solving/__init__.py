"""Solving: what a place of their source would have to be for all to be right, and what at hand is that.

In: a place, what is lacking, all gradients as often as they are asked for.  Out: changes of the place.
Knows: of verifying source's changes, insertions, scope and written.
"""
