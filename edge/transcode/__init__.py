"""Reads the source rendition from the part log and appends one rendition per rung of the ladder.

A worker holds a lease on a broadcast; progress is in the output itself, so that a successor continues where
the log ends: same initialisation segment, no frame missing, none twice. Every append is fenced: a worker
that was frozen and comes back can't write. The source rendition is never touched.
Broadcasts are taken by what they cost. Where there is not enough for every rung, or nobody asks for one, the
governor pauses it where segments meet: its parts come at the same times, as gaps, until it runs again.
Threads: one decodes, one per rung scales, encodes and packages; the event loop only reads and appends. Where a card
decodes for its encoders, the decode thread drives a decoder for each rung, and the rung's has nothing to scale.
"""
