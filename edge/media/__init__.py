"""Rules about time and frames: timeline, segmenter, ladder. Pure functions and small state machines.

Used by ingest and transcode, which must agree on every boundary: the same samples give the same parts,
whoever computes them and however often.
"""
