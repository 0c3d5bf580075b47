"""Networks: layers connected to shapes and parameters, and what is asked of them.

In: a list of layers, or a file.  Out: a Network, its summary, its Θ, its file.
Knows: base, formulas, layers, losses and data, and the engine, the default executor, by name alone.
"""
