"""Run a stage on the code path that the machine would take by itself.

python -m bench.unpinned STAGE ARGUMENTS

What a stage pins so that its bytes come out the same anywhere costs speed; this shows how much.
"""

import os
import runpy
import sys

if __name__ == "__main__":
    before = dict(os.environ)
    # It pins the environment when it is imported, before torch is.
    import wenmo.core.stage  # noqa: F401

    os.environ.clear()
    os.environ.update(before)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
