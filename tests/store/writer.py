"""A process that appends one frame a simulated second and says each number when it is kept.

`python -m tests.store.writer DIRECTORY FIRST` runs until it is killed.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from tests.store.support import frame, opened


def main() -> None:
    directory, first = Path(sys.argv[1]), int(sys.argv[2])
    store = opened(directory)
    for second in count(first):
        store.append(frame(second))
        sys.stdout.write(f"{second}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
