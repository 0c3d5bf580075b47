"""Streams: training data that comes batch by batch, from an iterable or from arrays too large to convert.

In: what fit is given as X without y.  Out: batches that have passed the door, one for every step.
Knows: base, data, losses, networks and the files beside it.
"""
