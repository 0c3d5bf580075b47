"""One module per peer: `versions()`, and `Session(problem, configuration, threads)` with three methods.

epoch()    one step of the task on each of the batches in memory, in order; returns when the work is done
check()    of the first batch, as the weights are now: the loss, or where norms are the task their mean
profile()  only chainrule: where a step's time goes
"""
