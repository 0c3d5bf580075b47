"""Verify: whether somebody else's backward pass is right, and if not, which mistake it is.

In: somebody's forward and backward, and a layer of ours that they mean, if any.  Out: a `Verdict`.
Knows: layers, losses, data, networks, reference.
"""
