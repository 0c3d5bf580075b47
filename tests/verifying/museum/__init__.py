"""The proof of `verify`: backwards with a mistake in them, from public reports and courses, and right ones.

buggy/ one file per family; unseen/ the examiner's, written without the words for mistakes; right/ generators
of right ones. `python -m tests.verifying.museum.sweep` runs all of them and prints the tables.
"""
