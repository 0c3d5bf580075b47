"""One file per command: what `chainrule NAME` does.

In: the parsed arguments.  Out: the exit status; results on standard output.
Knows: everything; only cli/arguments.py knows them, by name.
"""
