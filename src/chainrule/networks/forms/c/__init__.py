"""A network as one file of C99: no library but math.h, no allocation, one sample at a time.

In: a model and its parameters.  Out: the text of a header that predicts the same.
Knows: base, formulas, layers, data, networks/model and written, the file beside it.
"""
