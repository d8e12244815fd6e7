"""Automatic multitrack video: what an encoder should send, asked by OBS' "GetClientConfiguration".

The stream key in the request is the only credential: it names the channel by its hash, and nothing about the
channel is told. Refusals are answers with status 200 whose text OBS shows; a problem document it would not
show. The ladder here must stay the one of `edge.media.ladder`: only its rungs spare the edge an encoder.
"""
