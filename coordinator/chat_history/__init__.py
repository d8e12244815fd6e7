"""Chat seen from the centre: history, and messages posted on behalf of a user.

The history is written by the outbox bridge, once per message id, and read here; where it is kept is behind
`ports.ChatStore`. What moderators remove is hidden, whichever of the two comes first. A message that is posted
goes to the stream's edge, which owns the room; the centre never writes one into the history by itself.
"""
