"""The command line: run, check, try, health and dead-letters."""

import sys

from data_bridge.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
