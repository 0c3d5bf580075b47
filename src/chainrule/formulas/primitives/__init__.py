"""The primitive operations: what each computes on arrays, its adjoint and its layout, in one entry.

In: arrays, or symbols.  Out: arrays, or trees.
Knows: expression and rules beside this folder.

To add one:
1. here, its NumPy definition under `@primitive(layout=…, entry=…, traits=…, adjoint=…)`;
2. its layout in printing/layouts.py and its element rule in elements/entry_rules.py, where none that is
   there will do;
3. its name in formulas/__init__.py and an example in tests/formulas/test_rules.py;
4. tests/formulas/test_one_entry.py says what else is missing (JavaScript, a program), and in which file.
"""
