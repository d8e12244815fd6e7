"""Video decoders of the transcoder behind one interface: in software, or on a graphics card that encodes too.

Called by the decode thread of a pipeline, one `Decoding` per broadcast. In software a picture is decoded once,
and each rung scales it. On a card each rung has a decoder of its own, which scales, and the picture stays on the
card until it is encoded; what belongs together is matched by its time.
What must never happen: a broadcast that stops because a card cannot decode it. Software goes on with what the card
was given since the last key frame, and the card is not tried again for that broadcast.
"""
