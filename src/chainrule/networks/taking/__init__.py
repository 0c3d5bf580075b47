"""Networks from elsewhere: PyTorch's modules, ONNX's models and scikit-learn's as layers, with their numbers.

In: a module, a model, an estimator.  Out: a Network that computes the same.
Knows: base, formulas, layers, networks/network, networks/architecture, networks/graphs and networks/forms;
torch and onnx once they are asked for.
"""
