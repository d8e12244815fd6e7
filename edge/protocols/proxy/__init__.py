"""The PROXY protocol, versions 1 and 2: a balancer says whose connection it passes on.

Listeners call it for connections of addresses they were told to trust, and for no others. Never raises
anything but ProxyError.
"""

from edge.protocols.proxy.header import LONGEST, ProxyError, ProxyHeader, parse_header

__all__ = ["LONGEST", "ProxyError", "ProxyHeader", "parse_header"]
