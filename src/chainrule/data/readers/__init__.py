"""Files of data, whose form is checked before anything is computed: IDX, NumPy's own, tables of numbers.

In: a path.  Out: arrays or a table, or a FileError with file, line and column.
Knows: base, frames and tables.
"""
