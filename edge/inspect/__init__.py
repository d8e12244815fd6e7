"""`nearcast inspect`: watches a presentation on any server as a low-latency player does, and says what it violates.

Run by the command line as a child (`python -m edge.inspect URL`) and by the tests; no role imports it, and it
imports only `edge.protocols` and `appliance.contracts`, so that it tells what a server does and not what ours
means to do. `catalogue` has every requirement; `rules` are pure functions over observations; `inspection` puts
them together; `prober`, `follower` and `probes` make the observations; `http_client` speaks HTTP/1.1.

Must never happen: a server that makes it hang, fill memory or raise anything but InspectError. Every answer,
playlist, count and wait has a bound. A check is never weakened because our own origin fails it.

Not checked, because it cannot be seen from outside within seconds: what a server does when a broadcast ends or
restarts (removal of playlists, numbers after a restart), HTTP 503 after a stall that does not happen, whether all
variants carry the same audio, HTTP/2 priorities, whether caches join equal requests, clocks set by NTP.
Media is looked into where it is fragmented MP4; of MPEG transport streams only arrival and size are judged.
"""
