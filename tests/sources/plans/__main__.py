"""Writes the plans of all vendors."""

from __future__ import annotations

from tests.sources.plans import FOLDER, VENDORS, plan

for vendor in VENDORS:
    (FOLDER / f"{vendor}.txt").write_text(plan(vendor), encoding="utf-8")
