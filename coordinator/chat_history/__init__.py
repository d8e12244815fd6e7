"""Chat seen from the centre: history, and messages posted on behalf of a user.

The history is written by the outbox bridge, once per message id, and read here. A message that is posted
goes to the stream's edge, which owns the room; the centre never writes one into the history by itself.
"""
