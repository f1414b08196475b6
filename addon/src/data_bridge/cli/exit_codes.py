"""Exit codes of the command line."""

OK = 0
FINDING = 1
FAILED = 2
