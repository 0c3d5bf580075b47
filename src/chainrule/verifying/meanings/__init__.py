"""What `like=` means: a layer, a recurrence through time, a loss, a network, brought to somebody's arrays.

In: `like` and its options, their arguments and the output of their forward.  Out: a Meaning, or None.
Knows: layers, losses, networks, reference, and of verifying factors, places, precision, probes.
"""
