"""WHEP (draft-ietf-wish-whep): viewers by WebRTC, well below a second behind the picture, for small audiences.

A process of its own, started by `edge.app`. It reads the part log like an origin does, makes packets once per
rendition and sends them to each viewer; sound that is not Opus is made Opus once per broadcast. What must never
happen: that one viewer's line holds up another's, or that somebody watches makes the broadcast itself worse.
"""
