"""The command line: run, check, try, health and dead-letters."""

import sys

from communicator.common.standard_streams import open_missing_streams

if __name__ == "__main__":
    # Before the imports that open files.
    open_missing_streams()
    from data_bridge.cli.main import main

    sys.exit(main())
