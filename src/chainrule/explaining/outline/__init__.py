"""From a document to blocks in the order in which they are read.

In: a document.  Out: sections of blocks, in the letters of a notation.
Knows: formulas, checking, diagnosing, facts, references, theta, blocks, words and the files beside it;
no network.
"""
