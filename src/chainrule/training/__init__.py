"""Training: the fit loop, optimizers, schedules, callbacks, history and progress.

In: a network, data, options.  Out: a trained network and its History.
Knows: everything up to the engine.

Nothing is imported here: an optimizer or a callback is made without the loop, which loads the engine.
"""
