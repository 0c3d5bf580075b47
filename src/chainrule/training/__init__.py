"""Training: the fit loop, optimizers, schedules, callbacks, history and progress.

In: a network, data, options.  Out: a trained network and its History.
Knows: everything up to the engine.

Nothing is imported here: `engine` reads `training.optimizers` and `training.fit` runs the engine's plans.
"""
