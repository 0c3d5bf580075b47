"""From a document to blocks in the order in which they are read.

In: a document.  Out: sections of blocks, in the letters of a notation.
Knows: blocks, words, theta and references; no network.
"""
