"""The sentences of a report in its languages.

In: keys.  Out: texts in English and Chinese.
Knows: base, layers by name, and explaining/schema.py.
"""
