"""Channels and their stream keys: where a broadcaster is found, and what lets an encoder in.

A user has at most one channel. Keys are stored hashed and shown once; a revoked key is told to every edge.
"""
