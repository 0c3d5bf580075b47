"""Training: the fit loop, optimizers, schedules, callbacks, history and progress.

Nothing is imported here: `engine` reads `training.optimizers` and `training.fit` runs the engine's plans.
"""
