"""The server's side of WebSocket (RFC 6455) with permessage-deflate (RFC 7692): opening handshake, frames,
messages, closing.

For any role that owns a socket on which a browser asked to upgrade. Bytes in, events and bytes out; no
socket, no clock. No input may raise anything but HandshakeError, and none may make a connection hold more than
one message and one control frame, however small it was packed.
"""
