"""Video encoders of the transcoder behind one interface: x264, hardware in this process, an ffmpeg child.

Called by: the rung's thread, one engine object per rung; the job opens the first one. `probe` says which engines
work on this machine, `choice` puts them in order, `lineup` goes on to the next when one fails.
A key frame stands exactly where it is asked for, for each frame goes one access unit comes, in order, and the
parameter sets of an engine never change while it lives. What must never happen: a driver that takes this process
along (each is tried in a child first), a wait without an end, a child that outlives us, a frame lost in silence.
"""
