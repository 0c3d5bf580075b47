"""The sentences of a report in its languages.

In: keys.  Out: texts in English and Chinese.
Knows: base, and layers by name.
"""
