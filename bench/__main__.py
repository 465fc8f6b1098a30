"""`python -m bench`: REST and fan-out, in a quarter of an hour, written to RESULTS.md; `python -m bench
rest|fanout|records|items|profile …`: one of the measurements."""

import sys

from bench import fanout, items, profile, records, rest

PARTS = {
    "rest": rest.main,
    "fanout": fanout.main,
    "records": records.main,
    "items": items.main,
    "profile": profile.main,
}


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](sys.argv[2:])
    else:
        rest.main(["--write", *sys.argv[1:]])
        fanout.main(["--write"])


if __name__ == "__main__":
    main()
