"""What the stages do about what a user can mend: one line on stderr and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wenmo.core.errors import UserError


@contextmanager
def told_in_one_line(stage: str, way_out: str = "run it again") -> Iterator[None]:
    """Turn a UserError into its exit code, and Ctrl-C into 130 with `way_out`."""
    try:
        yield
    except UserError as error:
        print(f"{stage}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(f"{stage}: stopped; {way_out}", file=sys.stderr)
        sys.exit(130)
