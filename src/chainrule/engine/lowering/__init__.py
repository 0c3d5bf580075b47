"""From layers, losses and optimizers to native operations.

In: a network.  Out: calls of the native plan's builder.
Knows: layers, losses, engine/programs.py and _native; nothing of how operations run.
"""
