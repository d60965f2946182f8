"""Failures to attach: their classes, by their causes, and their sentences."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import pytest

import hangwatch


def refused(segment: Path | str, cls: type[hangwatch.Error]) -> hangwatch.Error:
    with pytest.raises(hangwatch.Error) as raised:
        hangwatch.attach("x", segment=segment)
    assert type(raised.value) is cls, raised.value
    assert hangwatch.current() is None, "a failed attach is nobody's worker"
    return raised.value


def test_a_variable_that_makes_no_sense_is_a_usage_error_that_names_it(segment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANGWATCH_SEGMENT", str(segment))
    monkeypatch.setenv("HANGWATCH_SLOT", "three")
    e = refused(segment, hangwatch.UsageError)
    assert (e.kind, e.code) == ("usage", 1)
    assert e.what == "cannot use HANGWATCH_SLOT=three"
    assert e.why == "expected 'index:generation', such as '3:7'"
    assert str(e) == f"{e.what}: {e.why}\n  {e.hints[0]}", "what, why, then a line for each hint"


def test_a_folder_that_is_not_there_is_not_found(scratch: Path) -> None:
    e = refused(scratch / "no" / "folder", hangwatch.NotFoundError)
    assert (e.kind, e.code) == ("not_found", 2) and str(scratch) in e.what


def test_a_file_that_is_no_segment_is_a_bad_segment(segment: Path) -> None:
    segment.write_bytes(os.urandom(8192))
    segment.chmod(0o600)
    e = refused(segment, hangwatch.BadSegmentError)
    assert (e.kind, e.code) == ("bad_segment", 3) and str(segment) in e.what


def test_a_segment_that_others_may_write_is_denied_with_the_way_out(segment: Path) -> None:
    hangwatch.attach("x", segment=segment).detach()
    hangwatch.set_current(None)
    segment.chmod(0o660)
    e = refused(segment, hangwatch.DeniedError)
    assert (e.kind, e.code) == ("denied", 4)
    assert any("HANGWATCH_ALLOWED_UIDS" in hint for hint in e.hints)


def test_a_segment_of_which_every_slot_is_taken_is_full(segment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANGWATCH_SLOTS", "1")
    with hangwatch.attach("x", segment=segment) as first:
        hangwatch.set_current(None)
        e = refused(segment, hangwatch.FullError)
        assert (e.kind, e.code) == ("full", 5) and "all 1 slots are taken" in e.why
        with pytest.raises(hangwatch.FullError):
            first.lane("l")


def test_a_gpu_lane_where_slots_are_no_pages_is_a_usage_error(worker: hangwatch.Worker) -> None:
    with pytest.raises(hangwatch.UsageError) as raised:
        worker.gpu_lane("g", 0)
    assert "--slot-size 4096" in str(raised.value)


def test_a_phase_of_a_name_that_does_not_fit_is_a_usage_error(worker: hangwatch.Worker) -> None:
    with pytest.raises(hangwatch.UsageError):
        worker.register_phase("")


def test_a_phase_of_another_class_is_a_usage_error_that_names_it(worker: hangwatch.Worker) -> None:
    for made in (worker, hangwatch._hangwatch.detached()):
        for cls in ("Idle", "", "ex\nit"):
            with pytest.raises(hangwatch.UsageError) as raised:
                made.register_phase("mine", cls)  # type: ignore[arg-type]
            assert raised.value.what == "cannot register phase 'mine'"
            met = cls.replace("\n", "\\n")
            assert raised.value.why == f"cls is '{met}', expected 'work', 'idle' or 'exit'"
    assert all(worker.register_phase(cls, cls) < 65535 for cls in ("work", "idle", "exit"))


def test_stacks_on_a_signal_or_into_a_file_that_cannot_be_is_a_usage_error() -> None:
    for signal in ("SIGNONE", 0, "SIGKILL", "SIGSEGV"):
        with pytest.raises(hangwatch.UsageError) as raised:
            hangwatch.dump_stacks_on(signal)
        assert f"'{signal}'" in raised.value.what
    with pytest.raises(hangwatch.UsageError):
        hangwatch.dump_stacks_on(file=io.StringIO())


def test_an_error_survives_the_way_between_processes() -> None:
    e = hangwatch.FullError("cannot attach", "all slots are taken", ("a hint",))
    again = pickle.loads(pickle.dumps(e))
    assert type(again) is hangwatch.FullError
    assert (again.what, again.why, again.hints, str(again)) == (e.what, e.why, e.hints, str(e))


def test_every_class_is_an_error_with_a_kind_and_a_code_of_its_own() -> None:
    classes = [cls for cls in vars(hangwatch).values() if isinstance(cls, type) and issubclass(cls, hangwatch.Error)]
    own = [cls for cls in classes if cls is not hangwatch.Error]
    assert sorted(cls.code for cls in own) == [1, 2, 3, 4, 5, 6, 7]
    assert len({cls.kind for cls in own}) == 7
    assert all(cls.__module__ == "hangwatch" for cls in classes), "a traceback names them as a program does"
