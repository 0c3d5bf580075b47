"""Graphs: nodes that name what they read, as the layers of a network.

In: nodes by name, each with its layers and its sources.  Out: a Network of chains and wirings.
Knows: base, data, layers, networks/network, networks/architecture and networks/names.
"""
