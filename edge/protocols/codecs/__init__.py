"""What a codec's configuration says and how its access units are framed. One module per codec.

Any edge role may call them. No input raises anything but CodecError; nothing is decoded.
"""
