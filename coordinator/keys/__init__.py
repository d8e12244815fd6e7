"""The stream keys of a channel: several at a time, each with a name, an end, and what it is for.

Keys are stored hashed and shown once; a change is told to every edge before the answer. The key that a
channel is born with, and the ones of announced streams, are made by `coordinator.channels`.
"""
