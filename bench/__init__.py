"""Measure Remit beside what it is built on and beside others, in one run: `python -m bench`."""
