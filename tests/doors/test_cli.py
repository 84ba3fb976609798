"""The command line as a shell sees it: exit codes, where text goes, what an error says. No traceback, no patient's data in talk."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fhir_elig.__main__ import main
from fhir_elig._version import __version__
from fhir_elig.cli import run
from tests.house.tree import ROOT

CHARTS = ROOT / "fixtures" / "demo" / "charts"
ONE = CHARTS / "p01.json"
SCREEN = ("screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-06-01")


def here(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text, encoding="utf-8")


# what is wrong: arguments, exit code, error code, what the message names
WRONG: dict[str, tuple[tuple[str, ...], int, str, str]] = {
    "a file that is not there": ((*SCREEN, "--data", "missing.json"), 11, "FE0214", "missing.json"),
    "a file with nothing in it": ((*SCREEN, "--data", "empty.json"), 11, "FE0301", "empty.json"),
    "a Bundle with nothing in it": ((*SCREEN, "--data", "bare.json"), 11, "FE0301", "give FHIR JSON"),
    "a folder with nothing in it": ((*SCREEN, "--data", "."), 11, "FE0301", "give FHIR JSON"),
    "a month that there is not": (("screen", "--protocol", "relma-cel-ssc", "--as-of", "2025-13-01", "--data", str(ONE)), 2, "FE0106", "2025-13-01"),
    "a date in another order": (("screen", "--protocol", "relma-cel-ssc", "--as-of", "01/06/2025", "--data", str(ONE)), 2, "FE0106", "01/06/2025"),
    "a protocol that is almost there": (("screen", "--protocol", "relma-cel-ss", "--data", str(ONE)), 2, "FE0102", "relma-cel-ssc?"),
    "a protocol with a tab": (("screen", "--protocol", "tab.yaml", "--data", str(ONE)), 10, "FE0201", "tab.yaml:2:1"),
    "an answer to no criterion": ((*SCREEN, "--data", str(ONE), "--answers", "answers.yaml"), 10, "FE0213", "did you mean consent?"),
    "an event that is no milestone": ((*SCREEN, "--data", str(ONE), "--event", "leuk=2025-06-10"), 2, "FE0106", "leukapheresis"),
    "an event without a date": ((*SCREEN, "--data", str(ONE), "--event", "infusion=later"), 2, "FE0106", "later"),
    "a server that is not there": ((*SCREEN, "--server", "http://127.0.0.1:9/fhir", "--patient", "p1"), 14, "FE0401", "network"),
    "files and a server": ((*SCREEN, "--server", "http://127.0.0.1:9/fhir", "--data", str(ONE)), 2, "FE0105", "--data"),
    "neither files nor a server": (SCREEN, 2, "FE0105", "--server URL"),
    "a server without patients": ((*SCREEN, "--server", "http://127.0.0.1:9/fhir"), 2, "FE0105", "--patient ID"),
    "a command with a slip": (("scren",), 2, "FE0101", "Did you mean 'screen'?"),
    "an option with a slip": (("screen", "--protocl", "x"), 2, "FE0101", "--protocol"),
    "a type with a slip": ((*SCREEN, "--data", str(ONE), "--complete", "Observatoin"), 2, "FE0106", "Observation?"),
    "a format that there is not": ((*SCREEN, "--data", str(ONE), "--format", "xml"), 2, "FE0101", "ndjson"),
    "a patient who is not there": (("explain", "p99", "--data", str(ONE)), 2, "FE0103", "p01"),
    "no example patient": (("explain", "nobody"), 2, "FE0103", "p12"),
    "ids in a file that is not there": ((*SCREEN, "--data", str(ONE), "--patients", "ids.txt"), 2, "FE0214", "ids.txt"),
    "a site file that is not there": ((*SCREEN, "--data", str(ONE), "--site", "site.yaml"), 10, "FE0214", "site.yaml"),
    "a folder to write to that is not there": ((*SCREEN, "--data", str(ONE), "--out", "no/where.json"), 1, "FE0701", "no/where.json"),
    "an empty date": (("screen", "--protocol", "relma-cel-ssc", "--as-of", "", "--data", str(ONE)), 2, "FE0106", "--as-of"),
    "an empty date of an example patient": (("explain", "p01", "--as-of", ""), 2, "FE0106", "--as-of"),
    "a second date for one event": ((*SCREEN, "--data", str(ONE), "--event", "infusion=2025-07-01", "--event", "infusion=2025-07-02"), 2, "FE0106", "a second date"),
    "an event of nobody": ((*SCREEN, "--data", str(ONE), "--event", "infusion@=2025-07-01"), 2, "FE0106", "NAME@PATIENT=DATE"),
    "an event that is a name only": ((*SCREEN, "--data", str(ONE), "--event", "infusion"), 2, "FE0106", "gives no date"),
    "an empty id": ((*SCREEN, "--data", str(ONE), "--patient", ""), 2, "FE0103", "--patient"),
    "a file that names no patient": ((*SCREEN, "--data", str(ONE), "--patients", os.devnull), 2, "FE0105", "one id a line"),
    "a group in files": ((*SCREEN, "--data", str(ONE), "--group", "g1"), 2, "FE0105", "--group"),
    "a protocol file of another kind": (("screen", "--protocol", str(ONE), "--data", str(ONE)), 2, "FE0102", "ends in .yaml"),
    "an example patient by a protocol that there is not": (("explain", "p01", "--protocol", "nope"), 2, "FE0102", "relma-cel-ssc"),
    "an example patient with answers that are not there": (("explain", "p01", "--answers", "no.yaml"), 10, "FE0214", "no.yaml"),
    "a site file without a source": (("explain", "p01", "--site", str(ROOT / "fixtures" / "demo" / "site.yaml")), 2, "FE0105", "--data"),
    "a protocol to show that there is not": (("protocol", "show", "relma-cel-scc"), 2, "FE0102", "ID_OR_FILE"),
    "a concept with a slip": (("concepts", "list", "hemoglobn"), 2, "FE0205", "did you mean hemoglobin"),
    "an import that is no JSON": (("concepts", "import", "empty.json"), 11, "FE0301", "empty.json"),
    "an import to where nothing can be": (("concepts", "import", "list.json", "--concept", "lvef", "--out", "empty.json/a.csv"), 1, "FE0701", "empty.json"),
    "a report where a file stands": (("demo", "--out", "empty.json"), 1, "FE0701", "empty.json"),
}  # fmt: skip
VALUE_SET = {
    "resourceType": "ValueSet", "status": "active",
    "compose": {"include": [{"system": "http://loinc.org", "concept": [{"code": "10230-1"}]}]},
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "exit_code", "code", "names"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_place_and_fix(
    arguments: Sequence[str], exit_code: int, code: str, names: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if "." not in arguments:
        here(
            tmp_path, empty_json="", bare_json='{"resourceType":"Bundle","type":"collection","entry":[]}', tab_yaml="a:\n\tb: 1\n",
            list_json=json.dumps(VALUE_SET), answers_yaml="- {patient: p01, criterion: consnt, answer: true, on: 2025-05-30, by: x}\n",
        )  # fmt: skip
    assert run(arguments) == exit_code
    said = capsys.readouterr()
    assert said.out == "" or arguments[0] == "demo"
    assert "  where " in said.err
    assert said.err.startswith(f"error {code}: ") and names in said.err
    assert "  why " in said.err and "  fix " in said.err and f"docs/errors/{code}.md" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("arguments", [(), ("protocol",), ("concepts",)], ids=" ".join)
def test_a_bare_command_shows_its_help(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert (said.out, said.err[:7]) == ("", "Usage: ") and "Commands:" in said.err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"fhir-elig {__version__}\n"


def test_what_is_given_for_an_example_patient_goes_before_what_the_demo_gives(capsys: pytest.CaptureFixture[str]) -> None:
    def explained(*arguments: str) -> dict[str, Any]:
        assert run(["explain", "p02", "--format", "json", *arguments]) == 0
        return dict(json.loads(capsys.readouterr().out))

    assert explained()["as_of"] == "2025-06-01"
    assert explained("--as-of", "2025-05-30")["as_of"] == "2025-05-30"
    assert explained()["milestones"]["leukapheresis"] == "2025-05-28"
    assert explained("--event", "leukapheresis=2025-06-03")["milestones"]["leukapheresis"] == "2025-06-03"
    assert not all(read["complete"] for read in explained("--complete", "Patient")["retrieved"])


def test_an_example_patient_is_held_against_another_protocol_without_the_demos_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    head = "protocol: other\nversion: 1.0.0\ntitle: one\nmilestones: {screening: {title: screening}}\n"
    other.write_text(head + "inclusion:\n  - {id: adult, text: adults, age: {at-least: 18 a}}\n", "utf-8")
    assert run(["explain", "p02", "--protocol", str(other), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["protocol"]["id"], told["status"]) == ("other", "eligible")


def test_a_file_of_ids_chooses_the_patients(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ids.txt").write_text("# two\nPatient/p03\n\n p05 \n", "utf-8-sig")
    assert run([*SCREEN, "--data", str(CHARTS), "--patients", str(tmp_path / "ids.txt")]) == 0
    assert [json.loads(line)["patient"] for line in capsys.readouterr().out.splitlines()] == ["Patient/p03", "Patient/p05"]


def test_a_patient_who_is_not_there_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SCREEN, "--data", str(CHARTS), "--patient", "p99"]) == 1
    assert capsys.readouterr().err.count("p99") == 1


def test_a_device_is_written_to_and_a_link_is_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe, link, behind = tmp_path / "pipe", tmp_path / "link.json", tmp_path / "behind.json"
    os.mkfifo(pipe)
    link.symlink_to(behind)
    behind.write_text("old", "utf-8")
    held = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # a reader, so that the writer need not wait for one
    assert run([*SCREEN, "--data", str(ONE), "--format", "table", "--out", str(pipe)]) == 0
    assert b"p01" in os.read(held, 1 << 16)
    os.close(held)
    assert pipe.is_fifo()
    assert run([*SCREEN, "--data", str(ONE), "--out", str(link)]) == 0
    assert link.is_symlink() and json.loads(behind.read_text("utf-8"))["patient"] == "Patient/p01"


def test_in_a_pipe_each_patient_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SCREEN, "--data", str(CHARTS)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["patient"] for line in lines] == [f"Patient/p{number:02}" for number in range(1, 13)]


def test_a_patient_who_was_asked_for_and_is_not_there_is_told_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SCREEN, "--data", str(CHARTS), "--patient", "p01", "--patient", "nobody"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line).get("schema") for line in said.out.splitlines()] == ["fhir-elig/assessment/1", "fhir-elig/error/1"]
    assert "not assessed Patient/nobody" in said.err


def test_what_was_said_of_patients_who_are_not_in_the_data_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answers = tmp_path / "answers.yaml"
    row = "- {patient: %s, criterion: consent, answer: true, on: 2025-05-30, by: Practitioner/7}\n"
    answers.write_text("".join(row % name for name in ("p01", "p1", "p2")), "utf-8")
    screen = (*SCREEN, "--data", str(ONE), "--answers", str(answers))
    assert run([*screen, "--event", "leukapheresis@p01=2025-06-01", "--event", "leukapheresis@p1=2025-06-01"]) == 0
    said = capsys.readouterr().err
    assert "the answers file speaks of patients who were not screened: 2" in said
    assert "--event speaks of patients who were not screened: 1" in said
    assert run([*screen, "--event", "leukapheresis@p1=2025-06-01", "--patient", "p01"]) == 0
    assert "not screened" not in capsys.readouterr().err


def test_the_output_file_is_whole_or_not_there(tmp_path: Path) -> None:
    assert run([*SCREEN, "--data", str(ONE), "--format", "json", "--out", str(tmp_path / "ä b.json")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ä b.json"]
    assert json.loads((tmp_path / "ä b.json").read_text("utf-8"))["patient"] == "Patient/p01"


# A process of its own ---------------------------------------------------------------------------------------------------


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "fhir_elig", *arguments]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment}, check=False, cwd=ROOT)


def test_data_in_a_pipe_is_utf_8_whatever_the_locale_says(tmp_path: Path) -> None:
    chart = tmp_path / "chart.json"
    chart.write_text(ONE.read_text("utf-8").replace("Laboratory", "Läbor"), "utf-8")
    plain = shell(*SCREEN, "--data", str(chart))
    odd = shell(*SCREEN, "--data", str(chart), PYTHONIOENCODING="ascii", LANG="C", LC_ALL="C")
    assert (odd.returncode, odd.stdout) == (0, plain.stdout)
    explained = shell("explain", "p01", PYTHONIOENCODING="ascii")
    assert explained.returncode == 0 and "≤" in explained.stdout.decode()


def test_a_reader_who_has_enough_ends_the_program_in_peace() -> None:
    command = [sys.executable, "-m", "fhir_elig", *SCREEN, "--data", str(CHARTS), "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "fhir_elig", "protocol", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, cwd=ROOT)
    assert (done.returncode, b"FE0701" in done.stderr, b"stdout" in done.stderr) == (1, True, True)


def test_without_a_standard_output_the_program_says_so() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m fhir_elig protocol list >&-"], stderr=subprocess.PIPE, check=False, cwd=ROOT
    )
    assert (done.returncode, b"FE0701" in done.stderr) == (1, True)


def test_control_c_ends_the_program_in_a_word() -> None:
    """A server that accepts and never answers, so that the program is at work for certain."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        base = f"http://127.0.0.1:{server.getsockname()[1]}/fhir"
        command = [sys.executable, "-m", "fhir_elig", *SCREEN, "--server", base, "--patient", "p1"]
        # A shell that runs the tests in the background would have the signal ignored.
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, cwd=ROOT, preexec_fn=heard) as process:
            waiting, _ = server.accept()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate()
            waiting.close()
    assert (process.returncode, out, err) == (130, b"", b"stopped\n")


def test_control_c_while_the_program_is_loaded_ends_it_in_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("fhir_elig.cli.run", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert (stopped.value.code, capsys.readouterr().err) == (130, "stopped\n")


def test_what_to_do_next_is_a_command_that_the_shell_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def last(called: str) -> str:
        monkeypatch.setattr(sys, "argv", [called])
        assert run(["demo", "--out", str(tmp_path / "report")]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    monkeypatch.setenv("PATH", str(tmp_path))
    assert last(".venv/bin/fhir-elig") == "next    .venv/bin/fhir-elig explain p09"
    assert last("somewhere/__main__.py") == "next    python -m fhir_elig explain p09"
    (tmp_path / "fhir-elig").write_text("")
    (tmp_path / "fhir-elig").chmod(0o755)
    assert last(".venv/bin/fhir-elig") == "next    fhir-elig explain p09"


def on_a_terminal(*arguments: str, columns: int) -> str:
    """What a terminal of so many columns shows."""
    main, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        [sys.executable, "-m", "fhir_elig", *arguments], stdout=side, stderr=subprocess.DEVNULL, env=environment, cwd=ROOT
    ) as process:
        os.close(side)
        shown = b""
        while True:
            try:
                piece = os.read(main, 1 << 16)
            except OSError:  # the other side is closed: Linux says so with an error
                break
            if not piece:
                break
            shown += piece
        process.wait()
    os.close(main)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_the_terminal(columns: int, tmp_path: Path) -> None:
    lines = on_a_terminal("demo", "--out", str(tmp_path), columns=columns).splitlines()
    table = lines[: next(number for number, line in enumerate(lines) if line.startswith("report"))]
    assert len(table) > 14
    assert max(map(len, table)) <= columns
    assert [line[:3] for line in table if line.startswith("p")] == [f"p{number:02}" for number in range(1, 13)]


def test_sentences_are_wrapped_to_the_terminal() -> None:
    narrow, wide = (on_a_terminal("explain", "p09", columns=columns).splitlines() for columns in (80, 160))
    assert len(narrow) > len(wide)
