"""Refuse a wrong params.yaml before any stage has removed or rebuilt anything.

PYTHONPATH=src python stages/check_params.py
"""

from pathlib import Path

from wenmo.config import all_sections, params_file
from wenmo.core.records import write_text
from wenmo.core.stage import parse_arguments, run_stage

if __name__ == "__main__":
    parse_arguments(__doc__)
    with run_stage("check_params"):
        all_sections.check(params_file.read())
        # Always the same words: what follows waits for the check but is not stale because of it.
        write_text(Path("data/checked/params.txt"), "params.yaml fits every stage\n")
