"""The edge's housekeeping towards the centre: the directory copied down, the outbox trimmed.

One per site. Must never remove a message that the centre has not acknowledged, and never forget a fact of
the directory because the centre is away.
"""
