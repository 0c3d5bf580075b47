"""What a verdict shows: two formulas with the nodes marked in which they differ, and the form of its JSON.

In: the right formula and a wrong one.  Out: lines of text, MathML, records.
Knows: base, formulas, and verifying's texts.
"""
