"""Checkpoints: all of a training in one file, from which it goes on as if it had never ended.

In: a running fit.  Out: numbered files in a folder, and from the newest of them the state to go on from.
Knows: base, distributed, data, layers, networks, streams and the files beside it.
"""
