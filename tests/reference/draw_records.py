"""Draws of criteria on the person, on conditions, events and answers, and of records that matter to them."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

from tests.reference import draw_answers
from tests.reference.drawing import edges, maybe, moment, weighed, window, written
from tests.reference.spans import months_from

Row = dict[str, Any]
DISEASES = ("pneumonia", "tb_active", "gilbert")
OTHERS = ("infection_any", "not_infection", "onychomycosis")
DAYS = {"28 d": 4, "14 d": 4, "7 d": 3, "0 d": 1, "1 mo": 1}


def days_window(rng: Random) -> Row:
    """A window counted in days."""
    asked = window(rng)
    return asked if not asked["before"].endswith(" h") else {"milestone": asked["milestone"], "before": weighed(rng, DAYS)}


def age(rng: Random) -> Row:
    limits = {"at-least": "18 a"} | ({"at-most": "65 a"} if rng.random() < 0.6 else {})
    return {"age": limits | maybe(rng, 0.3, "at", ("enrollment", "leukapheresis", "baseline"))}


def born(rng: Random, as_of: str) -> Row:
    """A birth date near the birthdays on which an age turns."""
    day = date.fromisoformat(as_of)
    shape = weighed(rng, {"grown": 5, "turns": 8, "odd": 1, "none": 1})
    if shape == "none":
        return {}
    birth = (
        date(1980, 2, 29)
        if shape == "grown"
        else months_from(day, -12 * rng.choice((18, 66, 65, 19))) + timedelta(rng.choice((0, 0, 1, -1, 9, -9)))
    )
    if shape == "odd":
        birth = rng.choice((date(1904, 1, 1), day + timedelta(3), date(2008, 2, 29), date(2004, 2, 29)))
    return {"born": weighed(rng, {birth.isoformat(): 6, birth.isoformat()[:7]: 2, birth.isoformat()[:4]: 1})}


def sex(rng: Random) -> Row:
    return {"sex": {"is": rng.choice(("female", "male"))} | ({"by": ["gender"]} if rng.random() < 0.3 else {})}


def nobody(rng: Random, kind: Row, run: Row) -> list[Row]:
    """The person alone matters."""
    return []


def condition(rng: Random) -> Row:
    kind: Row = {"concepts": rng.sample(DISEASES, rng.choice((1, 1, 2)))}
    if rng.random() < 0.75:
        kind["window"] = days_window(rng)
    kind |= {"perhaps": ["infection_any"]} if rng.random() < 0.4 else {}
    kind |= {"stale": rng.choice(("90 d", "20 d"))} if kind.get("window") and rng.random() < 0.4 else {}
    kind |= {"not-these": ["onychomycosis"]} if rng.random() < 0.3 else {}
    kind |= {"hint-medications": ["systemic_anti_infective"]} if rng.random() < 0.25 else {}
    kind |= {"hint-results": ["culture"]} if rng.random() < 0.25 else {}
    return {"condition": kind | ({"absence": "closed"} if rng.random() < 0.7 else {})}


def problems(rng: Random, kind: Row, run: Row) -> list[Row]:
    found = [problem(rng, kind, run) for _ in range(weighed(rng, {0: 4, 1: 6, 2: 3}))]
    if kind.get("hint-medications"):
        asked = {"medications": kind["hint-medications"], "window": kind.get("window", {})}
        found += [drug(rng, asked, run) for _ in range(weighed(rng, {0: 5, 1: 2}))]
    if kind.get("hint-results"):
        asked = {"concepts": kind["hint-results"], "window": kind.get("window", {})}
        found += [draw_answers.result(rng, asked, run) for _ in range(weighed(rng, {0: 3, 1: 3, 2: 1}))]
    return found + seen(rng, kind, run)


def problem(rng: Random, kind: Row, run: Row) -> Row:
    row: Row = {"kind": "condition", **named(rng, (*kind["concepts"], *kind["concepts"]), OTHERS)}
    days = edges(kind.get("window", {}), run)
    start = rng.choice(days) - timedelta(rng.choice((0, 1, 2, 10, 25, 60, 100)))
    row |= {"onset": written(rng, start)} if rng.random() < 0.7 else {}
    row |= {"recorded": (start + timedelta(rng.choice((0, 1, 3)))).isoformat()} if rng.random() < 0.5 else {}
    ended = weighed(rng, open=6, dated=4, told=1)
    if ended == "dated":
        row["abated"] = written(rng, max(start, rng.choice(days) + timedelta(rng.choice((0, -1, 1, -5)))))
    row |= {"abated": "?"} if ended == "told" else {}
    row |= maybe(
        rng,
        0.5,
        "clinical",
        ("active", "active", "relapse") if ended == "open" and rng.random() < 0.7 else ("resolved", "inactive", "remission"),
    )
    row |= maybe(
        rng,
        0.5,
        "verification",
        ("confirmed", "confirmed", "confirmed", "provisional", "refuted", "unconfirmed", "entered-in-error"),
    )
    return row | maybe(rng, 0.04, "flaw", ("modifier", "restricted"))


def named(rng: Random, wanted: tuple[str, ...], others: tuple[str, ...]) -> Row:
    """What a record calls itself: what is asked for, something else, only words, a code of the hospital."""
    shape = weighed(rng, wanted=8, other=4, words=1, local=1)
    if shape == "words":
        return {"text": "as discussed"}
    if shape == "local":
        return {"code": "http://hospital.example/own|X77"}
    return {"concept": rng.choice(wanted if shape == "wanted" else others)}


def seen(rng: Random, kind: Row, run: Row) -> list[Row]:
    """A visit, mostly inside the window."""
    if rng.random() < 0.3:
        return []
    return [
        {
            "kind": "encounter",
            "time": (rng.choice(edges(kind.get("window", {}), run)) - timedelta(rng.choice((0, 0, 1, 2)))).isoformat(),
        }
    ]


def event(rng: Random) -> Row:
    kind: Row = {}
    shape = weighed(rng, procedures=3, medications=3, both=2)
    if shape != "medications":
        kind["procedures"] = ["transfusion_any", "transfusion_red_cells"]
    if shape != "procedures":
        kind["medications"] = ["growth_factor_white"]
    kind |= {"window": days_window(rng)} if rng.random() < 0.9 else {}
    return {"event": kind | ({"absence": "closed"} if rng.random() < 0.8 else {})}


def events(rng: Random, kind: Row, run: Row) -> list[Row]:
    found = []
    for _ in range(weighed(rng, {0: 4, 1: 6, 2: 2})):
        found.append(procedure(rng, kind, run) if kind.get("procedures") and rng.random() < 0.6 else drug(rng, kind, run))
    return found + seen(rng, kind, run)


def procedure(rng: Random, kind: Row, run: Row) -> Row:
    row: Row = {
        "kind": "procedure",
        **named(rng, tuple(kind.get("procedures", ("transfusion_any",))), ("sterile", "leukapheresis")),
    }
    when = moment(rng, kind.get("window", {}), run)
    row |= {"time": when["time"]} if "time" in when else {}
    row |= {"status": weighed(rng, {"completed": 8, "in-progress": 1, "not-done": 1, "entered-in-error": 1})}
    return row | maybe(rng, 0.03, "flaw", ("modifier", "restricted"))


def drug(rng: Random, kind: Row, run: Row) -> Row:
    """A statement of use, an order, or one intake."""
    wanted = tuple(kind.get("medications", ("growth_factor_white",)))
    row: Row = {"kind": "drug", **named(rng, wanted, ("azathioprine", "rituximab"))}
    days = edges(kind.get("window", {}), run)
    start = rng.choice(days) + timedelta(rng.choice((0, -1, 1, -3, -20, 2)))
    shape = weighed(rng, stated=4, given=4, ordered=2)
    if shape == "given":
        return row | {"strength": "administered", "time": written(rng, start), "status": "completed"}
    row |= {
        "strength": shape,
        "start": written(rng, start),
        "status": "active" if shape == "ordered" else weighed(rng, {"active": 8, "not-taken": 1}),
    }
    if rng.random() < 0.5:
        return row | {"end": written(rng, start + timedelta(rng.choice((2, 3, 7, 30))))}
    return row | ({"asserted": (start + timedelta(rng.choice((0, 2, 10)))).isoformat()} if shape == "stated" else {})


def attestation(rng: Random) -> Row:
    return {"attestation": {"question": "is it so?"} | ({"expires": rng.choice(("14 d", "12 mo"))} if rng.random() < 0.4 else {})}


def score(rng: Random) -> Row:
    """Items, some in a group; one that takes a point away, points that everybody has, a limit on either side or both."""
    items = {"a": 4, "b": 3, "c": 5, "d": 2} | ({"e": -1} if rng.random() < 0.3 else {})
    made: Row = {"items": items} | ({"groups": [["a", "b"]]} if rng.random() < 0.5 else {})
    made |= {"base": rng.choice((1, 3))} if rng.random() < 0.2 else {}
    limits = {"least": ("at-least",), "most": ("at-most",), "both": ("at-least", "at-most")}[
        weighed(rng, {"least": 6, "most": 2, "both": 1})
    ]
    return {"score": made | {limit: rng.choice((4, 5, 7) if limit == "at-least" else (7, 9, 10)) for limit in limits}}


def said_of(rng: Random, owner: str, run: Row, items: tuple[str, ...] = ()) -> list[Row]:
    """Answers to a criterion, or to the items of a score."""
    named_ = [f"{owner}/{item}" for item in items if rng.random() < 0.7] or ([] if items else [owner])
    return [_answer(rng, item, run) for item in named_ for _ in range(weighed(rng, {0: 1, 1: 5, 2: 2}))]


def _answer(rng: Random, item: str, run: Row) -> Row:
    day = date.fromisoformat(run["as_of"]) - timedelta(rng.choice((0, 0, 1, 5, 14, 15, 200, -1)))
    clock = rng.choice(("", "", "T10:00:00Z", "T09:00:00Z"))
    return {"kind": "answer", "item": item, "value": rng.random() < 0.6, "on": f"{day}{clock}"}
