"""The command line: run, check, try, health and dead-letters."""

import sys

from data_bridge.standard_streams import open_missing

if __name__ == "__main__":
    # Before the imports that open files.
    open_missing()
    from data_bridge.cli.main import main

    sys.exit(main())
