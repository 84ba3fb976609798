"""docs/benchmarks.md: a section for each kind of measurement, written anew by the program that measured it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def load() -> float:
    """The load average of the last minute; 0 where the system tells none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def machine(*packages: str) -> str:
    """The processor, the system, and the versions of what matters to a measurement."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    python = f"{platform.python_implementation()} {platform.python_version()}"
    told = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{model}, {os.cpu_count()} cores; {platform.system()}; {python}; {told}"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def write_section(title: str, text: str) -> None:
    """Replace the section `## title` of the page, or add it at the end."""
    head, *sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    texts = {section.partition("\n")[0]: section.partition("\n")[2].strip() for section in sections}
    texts[title] = text.strip()
    parts = [head.strip(), *(f"## {name}\n\n{body}" for name, body in texts.items())]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
