"""Python's garbage collector, kept away from large catalogs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Make many objects that will stay, without the collector.

    It would walk them again and again while they are made, half of the whole time, and once more after, which stops
    every thread: so they are frozen. None is part of a cycle; they go when nobody refers to them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
