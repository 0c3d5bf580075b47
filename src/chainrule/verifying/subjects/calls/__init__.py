"""Calls: how somebody's functions are called, and what they return is read.

In: a function, arrays and what else it takes.  Out: what it returned, as arrays by argument.
Knows: data's plain arrays, texts.
"""
