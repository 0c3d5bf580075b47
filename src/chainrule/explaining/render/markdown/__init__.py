"""The report as Markdown with pictures beside it.

In: an outline.  Out: text and SVG files.
Knows: blocks, words, render/svg, render/latex for formulas, and the files beside it.
"""
