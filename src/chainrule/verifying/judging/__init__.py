"""Judging: which of the returned arrays are wrong, and the mistake that gives them.

In: a subject, and what is meant.  Out: a `Verdict`.
Knows: layers, and of verifying contract, decoding, meanings, saying, subjects, differences, factors,
integers, places, precision, probes, texts and verdict.
"""
