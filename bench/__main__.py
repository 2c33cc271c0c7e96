"""Measure each stage beside today's usual way of doing it: `make bench`.

python -m bench                        everything, for docs/benchmarks.md
python -m bench prepare evaluate       some rows alone
python -m bench --scale 0.01 --results /tmp/results    to see whether it works

Results go to bench/results/NAME.json, tables and pictures to docs/. Nothing else should run on the
machine; its load average is kept with the results.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from bench import page

from wenmo.core.records import write_json


def main() -> None:
    """Measure, write results, bring the page up to date."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(page.MEASURED)}")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the work (1: all)")
    parser.add_argument("--results", type=Path, help="folder for results alone, and no page")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(page.MEASURED):
        parser.error(f"{sorted(unknown)[0]}: expected one of {', '.join(page.MEASURED)}")
    if arguments.scale != 1 and not arguments.results:
        parser.error("--scale: name a folder by --results, since the page is for the whole work")
    for name in arguments.names or page.MEASURED:
        result = page.measured(name, arguments.scale)
        write_json((arguments.results or page.RESULTS) / f"{name}.json", result)
    if not arguments.results:
        page.write_page()


if __name__ == "__main__":
    main()
