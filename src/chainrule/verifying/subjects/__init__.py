"""Subjects: whatever people hand in - functions, objects, tensors, numbers - as one form.

In: somebody's code or numbers, and its arguments.  Out: a `Subject`, its arrays by name, by the one door.
Knows: layers, data's plain arrays, networks, differences, texts.
"""
