"""One module per peer: `versions()`, and `Session(problem, configuration, threads)` with three methods.

epoch()    one training step on each of the batches in memory, in order; returns when the work is done
loss()     of the first batch, as the weights are now
profile()  only chainrule: where a step's time goes
"""
