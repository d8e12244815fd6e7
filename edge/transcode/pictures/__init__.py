"""Previews and the storyboard of a live broadcast, made of pictures that the transcoder decodes anyway.

`Pictures` belongs to a job: made, started and closed in the loop, offered frames by the decoding thread. It
has a thread of its own, of low priority, and room for one frame: offering never waits, and what pictures cost
is never paid by the renditions. Nothing that goes wrong here may end the job.
"""
