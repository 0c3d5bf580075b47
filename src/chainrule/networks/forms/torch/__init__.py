"""Networks as PyTorch's modules, with their weights.

In: a network.  Out: a torch.nn.Module that computes the same and whose gradients are the same.
Knows: base, layers, networks/model and the files beside it; the package torch once it is asked for.
"""
