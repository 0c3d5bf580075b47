"""Maps, curves and the chain of layers as SVG.

In: blocks.  Out: SVG, in a page or as files.
Knows: blocks, words and the files beside it.
"""
