"""Mutants: every formula of ours with one mistake in it, handed to `verify` as somebody's backward pass.

In: names of layers, losses, penalties.  Out: for every mistake, what verify calls it.
Knows: layers, losses, reference, and of verifying contract, judging, meanings, saying, probes, verdict and
verify.
"""
