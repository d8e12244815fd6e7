"""What viewers of a stream got, minute by minute, as the edges tell it.

`apply` is called by the outbox bridge only, once per event and inside the transaction that remembers the event:
batches are sums and are added up.
"""
