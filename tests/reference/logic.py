"""The combinations: the table of four values, and the reason of the first member that decides."""

from __future__ import annotations

from collections.abc import Sequence

from tests.reference.said import MET, NOT_APPLICABLE, NOT_MET, UNKNOWN, Said, merged, negated, one_for_all, plain, said


def all_of(members: Sequence[Said], named: Sequence[bool] = ()) -> Said:
    """Members without an id are no children of their own: which of several unknown ones speaks for them is left open."""
    names = named or [True] * len(members)
    applying = [(one, name) for one, name in zip(members, names, strict=True) if one.verdict != NOT_APPLICABLE]
    if not applying:
        return said(NOT_APPLICABLE, "not-applicable")
    for verdict in (NOT_MET, UNKNOWN):
        deciding = [(one, name) for one, name in applying if one.verdict == verdict]
        if deciding:
            nameless = verdict == UNKNOWN and not any(name for _, name in deciding)
            return Said(verdict, merged([one for one, _ in deciding]) if nameless else deciding[0][0].reasons)
    if all(one.guard is not None for one, _ in applying):
        return applying[0][0]
    return Said(MET, merged([one for one, _ in applying]))


def any_of(members: Sequence[Said], named: Sequence[bool] = ()) -> Said:
    return negated(all_of([negated(one) for one in members], named))


def at_least(count: int, members: Sequence[Said], guarded: Sequence[bool]) -> Said:
    """`guarded` tells which of them apply to some patients only: where all that is left is unknown, none of it may apply."""
    applying = [plain(one) for one in members if one.verdict != NOT_APPLICABLE]
    if not applying:
        return said(NOT_APPLICABLE, "not-applicable")
    sure = sum(one.verdict == MET for one in applying)
    open_ = sum(one.verdict == UNKNOWN for one in applying)
    verdict = MET if sure >= count else NOT_MET if sure + open_ < count else UNKNOWN
    left = [name for one, name in zip(members, guarded, strict=True) if one.verdict != NOT_APPLICABLE]
    if verdict == NOT_MET and open_ == len(applying) and all(left):
        return Said(UNKNOWN, merged(applying))
    return Said(verdict, merged([one for one in applying if one.verdict == verdict]))


def applies_if(guard: Said, body: Said) -> Said:
    guard = plain(guard)
    if guard.verdict == NOT_MET:
        return said(NOT_APPLICABLE, "not-applicable")
    if guard.verdict == MET:
        return body
    if body.verdict == MET:
        return Said(MET, body.reasons, guard.reasons)
    if body.verdict == NOT_APPLICABLE:
        return body
    return Said(UNKNOWN, merged([guard, *([body] if body.verdict == UNKNOWN else [])]))


def unless(guard: Said, then: Said, otherwise: Said) -> Said:
    """`then` where the exception applies, else the criterion itself; both must agree where nobody knows."""
    guard = plain(guard)
    if guard.verdict == MET:
        return then
    if guard.verdict in (NOT_MET, NOT_APPLICABLE):
        return otherwise
    if then.verdict == otherwise.verdict:
        either = then.guard if then.guard is not None else otherwise.guard
        return Said(then.verdict, merged([then, otherwise]), either)
    if {then.verdict, otherwise.verdict} == {MET, NOT_APPLICABLE}:
        return Said(MET, merged([one for one in (then, otherwise) if one.verdict == MET]), guard.reasons)
    return Said(UNKNOWN, merged([guard, *(one for one in (then, otherwise) if one.verdict == UNKNOWN)]))


def readings(options: Sequence[Said]) -> Said:
    """All readings must agree; where one is open, its reason stands."""
    return one_for_all([plain(one) for one in options], "ambiguous-protocol")
