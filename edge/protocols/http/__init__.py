"""HTTP/1.1 as the viewer server speaks it (RFC 9110, RFC 9112): request heads in, response heads out.

For any role that owns an HTTP socket. Bytes in, values and bytes out; no socket, no clock. Nothing here
may trust a length, a header or a path that came from outside, and no input may raise anything but HttpError.
"""
