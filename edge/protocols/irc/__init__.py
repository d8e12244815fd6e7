"""IRC lines (RFC 1459, RFC 2812) with the message tags of IRCv3, as clients of Twitch's chat speak them.

For any role that owns a connection on which somebody speaks IRC. Bytes in, messages out and back; no socket, no
clock. Nothing that a client sends may raise anything but IrcError, nor make a reader hold more than one line.
"""
