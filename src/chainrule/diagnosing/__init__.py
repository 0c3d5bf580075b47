"""The doctor: how gradients flow through a network, and what stands in the way of learning.

In: a network, a batch, the history of a training.  Out: findings with cause, numbers and remedy.
Knows: everything up to training; no report.
"""
