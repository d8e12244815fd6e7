"""The chat gateway of an edge: rooms, their WebSocket readers and writers, and the same over plain HTTP and IRC.

Built by `edge.app` through `service.ChatService`; all of it runs in that process's one loop, and connections
come by handoff from the viewer port, or on the IRC ports. A message is acknowledged after it is in the outbox
and never before; what is shown comes from the outbox, so every gateway of the edge shows the same in the same
order. A slow client may cost nobody else anything, and no client may cost memory without a bound.
"""
