"""A synthetic streamer and a few chatters, so that a new node has something to show.

They are ordinary clients: real RTMP with a real encoder, real chat messages over HTTP. Nothing in the
product knows that they are not people.
"""
