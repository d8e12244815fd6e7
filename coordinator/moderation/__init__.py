"""What is done in chat rooms, seen from the centre: the audit trail, the state that all edges share, the API.

An action is decided by an edge and becomes an event of its outbox; here events are reduced to records, which go
down to all edges in the directory. The centre never changes a room by itself.
"""
