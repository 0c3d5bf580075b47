"""What `like=` means: a layer, a recurrence through time, a loss, a network, brought to somebody's arrays.

In: `like` and its options, their arguments and the output of their forward.  Out: a Meaning, or None.
Knows: base, formulas, layers, losses, networks, reference.
"""
