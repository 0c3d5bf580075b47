"""The report as one page.

In: an outline and its document.  Out: HTML in which the scripts of explaining/page are bound.
Knows: formulas, blocks, words, explaining/schema.py, render/svg and the files beside it.
"""
