"""A pass through a network: what is asked of who computes it, what it yields, and that it is finite.

In: a network, inputs, targets.  Out: predictions, a Step, gradients of single samples.
Knows: base, layers, losses, data and what a network is.
"""
