"""The viewer server of an edge: follows the part log, keeps a window of parts, serves LL-HLS and the pages.

Built by `edge.app` through `service.OriginService`; all of it runs in that process's one loop. It only reads:
nothing here may append to a log or write a bucket. A response is built once for all who ask the same, no
request may cost memory without a bound, and a slow client may cost nobody else anything.
"""
