"""A real browser for the tests: headless Chromium, spoken to over the DevTools protocol.

The fixture `page` (tests/conftest.py) is a page of one browser that all tests share.  Where there is no
Chromium the tests that ask for it are skipped, and pytest's summary says why; `tests/browser/install.sh`
installs it.
"""
