"""Changes: a function's source with one place of it written otherwise, the most natural ones first.

In: a function's text and what is at hand in it.  Out: changes, each of a kind, pieces of text for others.
Knows: of verifying source's scope and written.
"""
