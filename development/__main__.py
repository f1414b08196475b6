"""`scripts/develop`."""

import sys

if __name__ == "__main__":
    try:
        # Here, so that Ctrl-C while modules load ends without a traceback too.
        from development.command import main

        status = main()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
