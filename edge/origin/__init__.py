"""The viewer server of an edge: follows the part log, keeps a window of parts, serves LL-HLS and the pages.

Built by `edge.app` through `service.OriginService`; all of it runs in that process's one loop. Of media it only
reads; what it writes is who watches (lease bucket) and what viewers got (outbox), and no request waits for that.
HTTP/1.1 and HTTP/2, plain and in TLS, are four ways to the same `Routes`; a connection for another role is given to
it, and relayed where TLS or HTTP/2 stand between. A response is built once for all who ask the same, no request may
cost memory without a bound, and a slow client may cost nobody else anything. Who may watch is decided beside the
resources (`guard`), never in them.
"""
