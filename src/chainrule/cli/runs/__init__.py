"""Run folders: what a training left behind, and what is asked of it later.

In: a folder or a model file.  Out: the network, its description, samples for it.
Knows: everything up to training, cli/training and the files beside it.
"""
