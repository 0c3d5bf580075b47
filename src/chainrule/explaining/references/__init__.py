"""What the literature writes: notations, conventions and slips, beside the network at hand.

In: a network and its facts.  Out: parts of the document (document.py).
Knows: layers, losses, networks, facts, words and explaining/schema.py.
"""
