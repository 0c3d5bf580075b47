"""The report as LaTeX: an article, a fragment, a presentation.

In: an outline.  Out: a document of one file.
Knows: formulas, blocks, words, diagnosing/schema.py and the files beside it.
"""
