"""Play seeds again: `python -m tests.simulation SEED…`, or `--from N --count M` for a range; prints the trace of a single one."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.schedule import played


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--count", type=int, default=0)
    given = parser.parse_args()
    failed, begun = [], time.monotonic()
    for seed in [*given.seeds, *range(given.first, given.first + given.count)]:
        result = played(seed)
        if given.seeds:
            print(*result.trace, sep="\n")
            print(result.digest)
        if result.findings:
            failed.append(seed)
            print(f"seed {seed}:", *result.findings, sep="\n  ", flush=True)
    print(f"{len(failed)} of {len(given.seeds) + given.count} failed in {time.monotonic() - begun:.1f} s: {failed[:40]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
