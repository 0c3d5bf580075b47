"""From a network and a batch to the facts of a report: cards, worked elements, numbers, as JSON.

In: a network, a batch, an objective.  Out: parts of the document (document.py).
Knows: everything up to the reference, blocks, words and explaining/schema.py.
"""
