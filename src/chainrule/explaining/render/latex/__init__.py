"""The report as LaTeX: an article, a fragment, a presentation.

In: an outline.  Out: a document of one file.
Knows: blocks and words.
"""
