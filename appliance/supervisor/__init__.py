"""The process plan of a node: ordered start, readiness, restart budget, drain, ordered stop.

The supervisor owns every child process of a node. It restarts what dies, gives up loudly when a child
dies too often, and never leaves a child behind.
"""
