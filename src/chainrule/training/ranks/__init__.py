"""A fit that several ranks run together.

In: the ranks, and what each of them was given.  Out: that they are of one mind, or an error that says why.
Knows: base, data, networks, distributed, engine, checkpoints, callbacks and parts.
"""
