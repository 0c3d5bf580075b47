"""Frameworks: functions that PyTorch or JAX differentiates, and scalars that keep a graph, as Subjects.

In: their function and arguments.  Out: a `Subject`.
Knows: calls, held, pairs, values, subject, texts.
"""
