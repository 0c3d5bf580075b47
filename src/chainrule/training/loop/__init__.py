"""The loop: what one call of fit is to do, and the epochs of compiled steps that do it.

In: arguments that are checked, and data that have passed the door.  Out: a trained network and its history.
Knows: base, data, losses, networks, distributed, engine, checkpoints, ranks, streams and the files beside it.
"""
