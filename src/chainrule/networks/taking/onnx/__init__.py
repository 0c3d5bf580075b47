"""ONNX's models: their nodes as layers, kind by kind, and what an exporter has taken apart put together.

In: a model.  Out: values and nodes of `building`, beside this folder.
Knows: base, formulas, layers, networks/network, networks/forms, and building, distances, resizing and values
beside this folder; onnx once it is asked for.
"""
