"""Check params.yaml, and write down what the stages depend on: libraries and their own code.

PYTHONPATH=src python stages/check.py

The other stages depend on data/checked, so that a wrong key stops a run before DVC has removed any
output.
"""

import shutil
from pathlib import Path

from wenmo.config import all_sections, params_file
from wenmo.config.generate import ENGINES
from wenmo.config.params_file import TASKS
from wenmo.core.fingerprints import all_fingerprints
from wenmo.core.libraries import pinned_libraries
from wenmo.core.records import write_text
from wenmo.core.stage import parse_arguments, run_stage

CHECKED = Path("data/checked")
LOADABLE = {"prepare": TASKS, "baseline": ENGINES, "generate": ENGINES}

if __name__ == "__main__":
    parse_arguments(__doc__)
    with run_stage("check"):
        content = params_file.read()
        all_sections.check(content)
        all_sections.refuse_missing(content)
        libraries = pinned_libraries(Path("pyproject.toml"))
        code = all_fingerprints(LOADABLE)
        # DVC leaves the outputs of this stage in place, those of a stage that is gone as well.
        shutil.rmtree(CHECKED, ignore_errors=True)
        # Always the same words: other stages wait for the check and are not stale because of it.
        write_text(CHECKED / "params.txt", "params.yaml fits every stage\n")
        write_text(CHECKED / "libraries.txt", libraries)
        for name, fingerprint in code.items():
            write_text(CHECKED / "code" / f"{name}.txt", fingerprint)
