"""`fhir-elig` and `python -m fhir_elig`: the door of the program, so thin that Ctrl-C finds it even while the rest is loaded."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        from fhir_elig.cli import run

        code = run()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
