"""What a process may change about its own use of the system."""

import ctypes
import resource

_ENOUGH_FILES = 1 << 20
_LARGE = 1 << 18  # bytes: buffers of pictures and of their parts are larger
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_SET_THP_DISABLE = 41  # PR_SET_THP_DISABLE of prctl(2)


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


def return_large_buffers() -> None:
    """From now on what is freed of large buffers goes back to the system at once, and pages are small.

    The C library keeps the more for itself the larger the buffers are that it has seen, and x264 asks for pages of
    2 MB. Together that is a tenth of what a ladder takes. Where the library is another one nothing changes.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_TRIM_THRESHOLD, _LARGE)
    if hasattr(library, "prctl"):
        library.prctl(_SET_THP_DISABLE, 1, 0, 0, 0)
