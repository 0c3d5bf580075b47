"""What a report is made of, and how its numbers are printed; stages and renderers share it.

In: boxes of formulas, numbers, texts.  Out: blocks.
Knows: base, formulas, diagnosing/schema.py and explaining/schema.py.
"""
