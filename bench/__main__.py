"""`python -m bench`: all measurements, written to RESULTS.md."""

import sys

from bench import rest

if __name__ == "__main__":
    sys.argv.append("--write")
    rest.main()
