"""HTTP plumbing of the coordinator: one route table, one way through it, one form of refusal.

Slices describe their routes with `Route` and see a `Call`; only `server` knows Sanic. A handler runs inside
one unit of work (unless it says otherwise) and its answer leaves after the commit. Nothing of an unexpected
error may reach a client but the request's id.
"""
