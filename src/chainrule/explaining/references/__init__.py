"""What the literature writes: notations, conventions and slips, beside the network at hand.

In: a network and its facts.  Out: parts of the document (document.py).
Knows: facts, blocks and words.
"""
