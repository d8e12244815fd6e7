"""The data plane of a region: takes broadcasts in, transcodes, serves viewers and chat, with or without a WAN.

Roles (`ingest`, `transcode`, `origin`, `whep`, `chat`, `recorder`, `agent`) are separate processes that meet only
through the contracts and the logs; `app` composes them. Imports `appliance`, never `coordinator`.
"""
