"""From layers, losses and optimizers to native operations.

In: a network.  Out: calls of the native plan's builder.
Knows: layers, losses, training's numbers; nothing of how operations run.
"""
