"""Limits of the system that a process may raise by itself."""

import resource

_ENOUGH_FILES = 1 << 20


def raise_file_limit() -> int:
    """Lets this process, and those it starts from now on, hold as many files as it may; how many those are.

    Shells and systemd begin with 1024, for the sake of programs that use select(2). Where the most is beyond
    all use it is not asked for: there are programs that look at each possible descriptor when they start.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
