"""The report as text for a terminal.

In: an outline.  Out: lines of a given width.
Knows: blocks and words.
"""
