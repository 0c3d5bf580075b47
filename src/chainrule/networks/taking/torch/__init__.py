"""PyTorch's modules and functions as layers, kind by kind.

In: a module.  Out: values and nodes of `building`, beside this folder.
Knows: base, formulas, layers, networks/network, and building, distances, resizing and values beside this
folder; torch once it is asked for.
"""
