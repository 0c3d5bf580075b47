"""What is handed to `chainrule verify`: somebody's file, the arrays it is run on, a limit to how long.

In: the parsed arguments.  Out: functions or an object of theirs, arrays, what went wrong in their code.
Knows: everything.
"""
