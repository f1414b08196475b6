"""Python's garbage collector, paused while large catalogs are made."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector while many long-lived objects are made, and freeze them.

    The collector would traverse them repeatedly, half of the time of loading, and once more afterwards, which stops
    every thread. None is part of a cycle; reference counting frees them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
