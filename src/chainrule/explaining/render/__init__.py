"""Outlines in every form in which they can be read.

In: an outline.  Out: HTML, LaTeX, Markdown, text.
Knows: blocks and words; nothing of networks.
"""
