"""The form with Θ = [b, W]: cards, formulas and sentences of Ng's notation.

In: a document.  Out: the same derivation, the bias as column 0.
Knows: layers, facts, blocks, words and explaining/schema.py.
"""
