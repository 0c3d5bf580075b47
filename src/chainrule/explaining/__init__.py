"""From a network and a batch to the report of its own derivation, in every form it can be read in.

In: a network, a batch, options.  Out: a report: facts → document → outline → render.
Knows: everything up to diagnosing.
"""
