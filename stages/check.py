"""Check params.yaml, and write down each stage's fingerprint: pinned libraries and its own code.

PYTHONPATH=src python stages/check.py

The other stages depend on their fingerprints, so that a wrong key stops a run before DVC has
removed any output.
"""

import shutil

from wenmo.config import all_sections, params_file
from wenmo.config.generate import ENGINES
from wenmo.config.overrides import committed_params, unreached
from wenmo.config.params_file import TASKS
from wenmo.config.train import METHODS
from wenmo.core.fingerprints import WRITTEN, all_fingerprints
from wenmo.core.records import write_text
from wenmo.core.stage import parse_arguments, run_stage, warn

LOADABLE = {"prepare": TASKS, "train": METHODS, "baseline": ENGINES, "generate": ENGINES}

if __name__ == "__main__":
    parse_arguments(__doc__)
    with run_stage("check"):
        content = params_file.read()
        all_sections.check(content)
        all_sections.refuse_missing(content)
        for warning in unreached(committed_params(), content):
            warn("check", warning)
        code = all_fingerprints(LOADABLE)
        # DVC leaves the outputs of this stage in place, those of a stage that is gone as well.
        shutil.rmtree(WRITTEN.parent, ignore_errors=True)
        for name, fingerprint in code.items():
            write_text(WRITTEN / f"{name}.txt", fingerprint)
