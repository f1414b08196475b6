"""Standard streams that were closed when the program started."""

import os
import sys


def open_missing_streams() -> None:
    """Open each of descriptors 0 to 2 that is closed on the null device; before anything else opens a file.

    Else a socket or a database gets such a number, and what is printed is written into it.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one: those below are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 -- for the process's life
