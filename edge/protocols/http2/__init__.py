"""The server's side of HTTP/2 (RFC 9113) with header compression (RFC 7541): requests in, answers out.

For any role that owns a socket on which HTTP/2 is spoken. Bytes and the time in, requests and bytes out; no
socket, no clock, no server push, no priorities. Answers are encoded once for everybody: only the stream's
number differs. No input may raise anything but Http2Error, whatever a peer sends costs a bounded number of
bytes, and bodies that wait for a slow peer are shared, never copied.
"""
