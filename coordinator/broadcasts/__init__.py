"""Streams from announcement to end. The edge that has the publisher decides; the centre records.

`apply` is called by the outbox bridge only, once per event and inside the transaction that remembers the
event. An ended broadcast never lives again.
"""
