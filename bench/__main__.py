"""`python -m bench`: all measurements, written to RESULTS.md; `python -m bench rest|fanout|profile …`: some of them."""

import sys

from bench import fanout, profile, rest

PARTS = {"rest": rest.main, "fanout": fanout.main, "profile": profile.main}


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](sys.argv[2:])
    else:
        rest.main(["--write", *sys.argv[1:]])
        fanout.main(["--write"])


if __name__ == "__main__":
    main()
