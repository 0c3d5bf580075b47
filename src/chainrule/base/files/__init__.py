"""Files and streams: opened once, read no further than they reach, written as a whole or not at all.

In: paths and bytes.  Out: bytes, NumPy arrays, the parts of a model file.
Knows: the files beside it.
"""
