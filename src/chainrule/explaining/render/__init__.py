"""Outlines in every form in which they can be read.

In: an outline.  Out: HTML, LaTeX, Markdown, text.
Knows: formulas, blocks, words, explaining/schema.py and diagnosing/schema.py; nothing of networks.
"""
