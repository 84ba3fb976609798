"""The house rules as functions from a module's syntax tree to the complaints about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from tests.house.tree import Module

# A room is a module or a folder of the package. A new one is placed here, and in DEVELOPERS.md.
FLOORS: dict[int, Sequence[str]] = {
    0: (
        "_version errors verdict quantity times windows units unit_tables unit_text ucum references places yaml_core documents "
        "code_systems concepts concept_rows concept_sets concept_tables concept_import concept_check"
    ).split(),
    1: ("record", "derive", "formulas"),
    2: ("criteria", "protocol", "site", "assessment", "horizon", "decisive"),
    3: ("adapters", "outputs"),
    4: ("sources", "sinks"),
    5: ("cohort", "cli", "__main__", "fhir_elig"),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
STRANGERS = {("sources", "adapters"), ("adapters", "sources"), ("sinks", "adapters"), ("adapters", "sinks")}

LAZY = {"pint", "ucumvert", "fhir", "fhir_core", "pyarrow", "duckdb", "pyspark", "pandas"}
NETWORK = {"requests", "urllib3", "socket", "ssl", "http", "httpx", "ftplib", "smtplib", "asyncio", "urllib.request"}
IMPURE = {
    "time",
    "random",
    "secrets",
    "logging",
    "subprocess",
    "multiprocessing",
    "threading",
    "tempfile",
    "os",
    "sys",
    "warnings",
}
IMPURE_CALLS = {
    "print",
    "input",
    "breakpoint",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "uuid.uuid1",
    "uuid.uuid4",
}
WRITES = {"write_text", "write_bytes", "mkdir", "unlink", "rmdir", "touch", "rename", "symlink_to", "chmod"}
READS = {"read_text", "read_bytes", "iterdir", "glob", "rglob"}
READERS = set(
    "documents places code_systems concepts concept_rows concept_tables concept_import concept_check unit_tables protocol site".split()
)

MAX_LINES, MAX_FUNCTION = 300, 60


def floor(module: Module) -> int:
    return FLOOR_OF[module.room]


def size(module: Module) -> Iterator[str]:
    if (lines := module.text.count("\n")) > MAX_LINES:
        yield f"{module.name}: {lines} lines, more than {MAX_LINES}"
    for function in module.functions():
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION:
            yield f"{module.name}:{function.lineno}: {function.name} has {lines} lines, more than {MAX_FUNCTION}"
    if not ast.get_docstring(module.tree):
        yield f"{module.name}: no docstring"


def floors(module: Module, known: frozenset[str]) -> Iterator[str]:
    """Imports from a higher floor, and between rooms that must not know each other."""
    for found in module.imports(known):
        parts = found.module.split(".")
        if parts[0] != "fhir_elig":
            continue
        room = parts[1] if len(parts) > 1 else "fhir_elig"
        if FLOOR_OF[room] > floor(module):
            yield f"{module.name}:{found.line}: floor {floor(module)} imports {found.module} of floor {FLOOR_OF[room]}"
        if (module.room, room) in STRANGERS:
            yield f"{module.name}:{found.line}: {module.room} and {room} do not import each other"


def libraries(module: Module) -> Iterator[str]:
    """Heavy libraries outside functions, the network outside floor 4, and what is not pure on floors 0 to 3."""
    for found in module.imports():
        top = found.module.split(".")[0]
        if top in LAZY and not (found.lazy or found.typing):
            yield f"{module.name}:{found.line}: {top} is imported inside functions only"
        if NETWORK & {top, found.module} and module.room not in ("sources", "sinks"):
            yield f"{module.name}:{found.line}: {found.module} belongs to sources and sinks"
        if top in IMPURE and floor(module) <= 3:
            yield f"{module.name}:{found.line}: floors 0 to 3 do without {top}"


def purity(module: Module) -> Iterator[str]:
    """Calls that read a clock, print, write or read files where a floor must not."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        name = called.rsplit(".", 1)[-1]
        if floor(module) <= 3:
            if called in IMPURE_CALLS or any(called.endswith(f".{call}") for call in IMPURE_CALLS if "." in call):
                yield f"{module.name}:{node.lineno}: floors 0 to 3 do not call {called}"
            if name in WRITES or (name == "open" and _writes(node)):
                yield f"{module.name}:{node.lineno}: floors 0 to 3 write nothing ({called})"
            elif _reads(called, name) and module.room not in READERS:
                yield f"{module.name}:{node.lineno}: {module.room} reads no files ({called})"
        elif floor(module) == 4 and called in ("print", "sys.exit", "input"):
            yield f"{module.name}:{node.lineno}: {called} belongs to the command line"


def _reads(called: str, name: str) -> bool:
    """`open` and the methods of a path; `units.read_text` is a function of the package."""
    return name == "open" or (name in READS and "." in called and called.split(".")[0] not in FLOOR_OF)


def _writes(call: ast.Call) -> bool:
    texts = [node.value for node in [*call.args, *(word.value for word in call.keywords)] if isinstance(node, ast.Constant)]
    return any(isinstance(text, str) and len(text) <= 3 and set(text) & set("wax+") for text in texts)


def unfinished(module: Module) -> Iterator[str]:
    """Notes to self, and code that hides from the coverage."""
    for number, line in enumerate(module.text.splitlines(), 1):
        for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X", "pragma: no " + "cover"):
            if word in line:
                yield f"{module.name}:{number}: {word}"


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """One cycle for each module that reaches itself."""
    found = []
    for start in sorted(graph):
        path = _way_back(graph, start)
        if path and not any(set(path) == set(other) for other in found):
            found.append(path)
    return found


def _way_back(graph: dict[str, set[str]], start: str) -> list[str]:
    came_from: dict[str, str] = {}
    queue = [start]
    while queue:
        here = queue.pop(0)
        for there in sorted(graph.get(here, ())):
            if there == start:
                path = [here]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    return []
