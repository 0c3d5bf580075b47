"""Tables from files: what they are packed in, how they are written, and of what kind each column is.

In: a path, and what is known of the file.  Out: a Frame, and in words what was understood and why.
Knows: base, and frames.
"""
