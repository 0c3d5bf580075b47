"""What everybody may use: errors, checks of single arguments, tables, text from outside, files.

In: plain values, strings, paths.  Out: the same, checked or shown, or an error that says what to write.
Knows: nothing of chainrule.
"""
