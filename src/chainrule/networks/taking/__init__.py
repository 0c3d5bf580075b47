"""Networks from elsewhere: PyTorch's modules and ONNX's models as layers of ours, with their numbers.

In: a module, or a model.  Out: a Network that computes the same.
Knows: base, layers, networks/network and networks/forms; the packages torch and onnx once they are asked for.
"""
