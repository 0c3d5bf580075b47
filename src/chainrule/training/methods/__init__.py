"""What is made of fits: RealMLP for tables, the range test of the learning rate, logs for other programs.

In: a network or a table, data.  Out: a trained network, a curve, or a file.
Knows: base, data, formulas, layers, losses, networks and the files beside it.
"""
