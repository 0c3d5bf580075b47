"""Published methods that are made of fits: RealMLP for tables, the range test of the learning rate.

In: a network or a table, data.  Out: a trained network, or a curve.
Knows: base, data, formulas, layers, losses, networks and the files beside it.
"""
