"""What `chainrule train` is made of: data, network, optimizer, and the job that runs and is kept.

In: the parsed arguments.  Out: a run folder.
Knows: everything up to training, and the files beside it.
"""
