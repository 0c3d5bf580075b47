"""Losses of a sequence of labels that is read from another, longer one.

In: log-probabilities at every step, and labels.  Out: value and gradient of a sample.
Knows: base, formulas, layers, and base and likelihoods beside this folder.
"""
