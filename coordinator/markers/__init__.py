"""Markers: the streamer points at the present moment of a live broadcast, and players are told.

Called by the API only. Nothing is kept here: the edge that writes the broadcast keeps its moments.
"""
