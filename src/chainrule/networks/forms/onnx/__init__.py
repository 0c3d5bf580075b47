"""A network as an ONNX model: what every layer is among the operators of ONNX.

In: a model and its parameters.  Out: an ONNX model that predicts the same.
Knows: base, formulas, layers, data, networks/model and written; the package onnx once it is asked for.
"""
