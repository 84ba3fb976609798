"""`python -m fhir_elig` is `fhir-elig`."""

from __future__ import annotations

from fhir_elig.cli import main

if __name__ == "__main__":
    main()
