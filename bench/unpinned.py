"""Run a stage on the machine's own code path, to see the price of the pinned one.

python -m bench.unpinned STAGE ARGUMENTS
"""

import os
import runpy
import sys

if __name__ == "__main__":
    own = dict(os.environ)
    # Importing it pins the environment; torch reads the environment later.
    import wenmo.core.stage  # noqa: F401

    os.environ.clear()
    os.environ.update(own)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
