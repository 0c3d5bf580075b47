"""A report with blanks for a reader to fill in.

In: an outline.  Out: the sheet and its solutions, in every form.
Knows: blocks, words and render.
"""
