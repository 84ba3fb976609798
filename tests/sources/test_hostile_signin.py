"""Whatever goes wrong on the way in: no verdict is turned over, no key and no token goes astray, it ends and says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from fhir_elig.sources import smart
from tests.canaries import found_in
from tests.sources import hostile
from tests.sources.faults_signin import DISCOVERY, KEY, SIGN_INS, TOKEN_PATH, SignIn, SignInFault
from tests.sources.hostile import CANARIES, Command, Outcome, Skipping, Ward

MOST_TOKENS = 40


@pytest.fixture(scope="module", autouse=True)
def _loaded_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        hostile.loaded_once(patch)
        yield


@pytest.fixture(scope="module")
def known() -> dict[str, Outcome]:
    return {}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    path.write_bytes(KEY.as_pem(private=True))
    path.chmod(0o600)
    return path


class Door:
    """Runs the command with a site file that says how to sign in."""

    def __init__(self, command: Command, key: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._command, self._key, self._folder = command, key, folder
        made, clock = smart.Clocks, Skipping()
        patch.setattr(smart, "Clocks", lambda: made(clock, sleep=clock.sleep, rng=Random(7)))

    def screen(self, place: Ward, timeout: float = hostile.TIMEOUT) -> Outcome:
        site = self._folder / "site.yaml"
        lines = f"  base: {place.base}\n  auth: smart-backend\n  client_id: elig\n  key: {self._key}\n"
        site.write_text(f"server:\n{lines}", encoding="utf-8")
        return self._command.screen(place, "--site", str(site), timeout=timeout)


@pytest.fixture
def door(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    key: Path,
    tmp_path: Path,
) -> Door:
    return Door(Command(monkeypatch, capsys, caplog), key, tmp_path, monkeypatch)


@pytest.fixture
def clean(door: Door, known: dict[str, Outcome]) -> Outcome:
    """The run that signs in and meets no fault, made once."""
    if "clean" not in known:
        with hostile.ward() as honest:
            SignIn(honest)
            known["clean"] = door.screen(honest)
    return known["clean"]


def test_a_run_that_signs_in_determines_verdicts_that_a_fault_could_turn_over(clean: Outcome) -> None:
    assert clean.exit_code == 0
    assert list(clean.verdicts.values()).count("met") >= 15 and clean.verdicts["no-recent-support"] == "met"


def lawful(found: Outcome, clean: Outcome, entry: SignIn, timeout: float) -> None:
    """What must hold whatever happened."""
    place = entry.place
    assert not {name for name, said in found.verdicts.items() if said not in ("unknown", clean.verdicts[name])}
    assert found.verdicts or found.exit_code
    assert place.stranger.requests == []
    assert len(place.server.requests) <= hostile.MOST_REQUESTS and len(entry.forms) <= MOST_TOKENS
    for _, path, headers in place.server.requests:
        if path in (DISCOVERY, TOKEN_PATH):
            assert "authorization" not in headers
    told = found.talk.replace(f"not assessed Patient/{hostile.PATIENT}", "")
    assert found_in(told) == [] and [canary for canary in CANARIES if canary in told] == []
    assert not any(form["client_assertion"][-20:] in found.talk for form in entry.forms)
    assert "Traceback" not in found.talk and "FE0901" not in found.talk
    assert found.seconds <= 2 * timeout + 5
    assert len({one["jti"] for one in entry.claims}) == len(entry.claims)
    assert all(0 < one["exp"] - one["iat"] <= 300 for one in entry.claims)


@pytest.mark.parametrize("fault", SIGN_INS.values(), ids=SIGN_INS)
def test_a_fault_on_the_way_in_turns_no_verdict_over(fault: SignInFault, door: Door, clean: Outcome) -> None:
    with hostile.ward() as place:
        entry = SignIn(place)
        entry.fault, entry.uses = fault, fault.uses
        place.server.pause = fault.pause
        found = door.screen(place, fault.timeout)
        lawful(found, clean, entry, fault.timeout)
        assert found.exit_code == fault.exit_code, found.talk[-2000:]
        assert (found.verdicts == clean.verdicts) is fault.same
