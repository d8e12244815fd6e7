"""Sockets that WebRTC roles share: the one port of media, HTTP connections that were handed over, sessions in time.

For roles that meet WebRTC peers: publishers in `edge.ingest`, viewers in `edge.whep`. All of it runs on the loop.
What must never happen: that a datagram of a stranger reaches DTLS, or that one session's trouble touches another.
"""
