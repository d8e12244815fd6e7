"""Sans-I/O cores: bytes and the current time in, events and bytes out.

Any edge role may call them, from one task per object. They never open, sleep, log or read a clock, and no
input makes them raise anything but their own typed error or grow without a bound.
"""
