"""Everything that crosses a process or a WAN: subjects, records, tokens, error and close codes.

Anyone may import this package. It does no I/O and reads no clock, so that both ends of a wire share
one definition and tests need nothing else. What is written here may be on disk or in flight on
another machine: fields are added with defaults, never renamed or reused.
"""
