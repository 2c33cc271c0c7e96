"""Refuse a wrong params.yaml before any stage has removed or rebuilt anything.

PYTHONPATH=src python stages/check_params.py
"""

from pathlib import Path

from wenmo import params, schema
from wenmo.records import write_text
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    parse_arguments(__doc__)
    with running("check_params"):
        schema.check(params.read())
        # Always the same words: what follows waits for the check but is not stale because of it.
        write_text(Path("data/checked/params.txt"), "params.yaml fits every stage\n")
