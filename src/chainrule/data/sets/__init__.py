"""Sets of data that come with a package or from an address, and more images made of them.

In: a name, a folder.  Out: arrays.
Knows: base and data/readers.
"""
