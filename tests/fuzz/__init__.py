"""Long runs of broken input against every parser that strangers can reach. `python -m tests.fuzz --help`.

What broke one is kept in `found/<target>/` and replayed by the unit tests.
"""
