"""Takes broadcasts in, cuts them, and appends source, contributed renditions and audio to the part log.

A role of its own, started by `edge.app`. It never decodes, never waits for a reader, and never loses what
it has acknowledged: when the log is away it spools up to a bound and then slows the publisher down.
"""
