"""Their source: which one place of it, written otherwise, makes everything right.

In: a subject, what is right, and the functions of theirs that ran.  Out: the place, and what to write there.
Knows: layers, and of verifying contract, judging, subjects, differences, precision, probes, texts, verdict.
"""
