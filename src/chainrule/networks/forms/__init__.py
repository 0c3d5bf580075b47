"""Other forms of a network: matrices Θ and one vector, a table, a file.

In: a network.  Out: its parameters, its rows, its file, and back.
Knows: base, layers, losses, data and the files beside it.
"""
