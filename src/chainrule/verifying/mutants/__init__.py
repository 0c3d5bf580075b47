"""Mutants: every formula of ours with one mistake in it, handed to `verify` as somebody's backward pass.

In: names of layers.  Out: for every mistake, what verify calls it.
Knows: networks, and in verifying the files verdict and verify.
"""
