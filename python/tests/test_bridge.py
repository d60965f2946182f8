"""AI Horde's `bridgeData.yaml` in Python: what the command reads of it, with either library for YAML."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import hangwatch
from hangwatch.horde import policy_of
from waiting import hangs, until

WHOLE = Path(__file__).parents[2] / "cli/tests/data/bridgeData.yaml"


@pytest.fixture(params=["yaml", "ruamel.yaml"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the two, without the other."""
    pytest.importorskip(request.param)
    monkeypatch.setitem(sys.modules, "ruamel.yaml" if request.param == "yaml" else "yaml", None)


def written(folder: Path, text: str) -> Path:
    file = folder / "bridgeData.yaml"
    file.write_text(text)
    return file


def test_the_workers_file_is_read_as_it_is_and_a_monitor_takes_it(segment: Path) -> None:
    with warnings.catch_warnings(record=True) as odd:
        warnings.simplefilter("always")
        policy = policy_of(WHOLE)
    assert policy == {
        "inference_step_timeout": 600,
        "loading_timeout": 120,
        "downloading_timeout": 211,
        "downloading_aux_timeout": 211,
        "post_processing_timeout": 90,
        "process_timeout": 900,
        "max_batch": 4,
        "exit_on_unhandled_faults": True,
    }
    line = WHOLE.read_text().splitlines().index("inference_step_timeout: 600") + 1
    warned = f"{WHOLE}:{line}: inference_step_timeout is 600, outside AI Horde's own range of 15 to 60; taken as it is"
    assert [str(it.message) for it in odd] == [warned]
    assert odd[0].filename == __file__, "the warning names the caller's line"
    with hangwatch.Monitor(segment, policy) as monitor, hangs(segment):
        until(lambda: monitor.worker(0).source == "monitor")
        assert monitor.worker(0).progress_budget_s == 600.0


@pytest.mark.filterwarnings("ignore:.*AI Horde's own range")
def test_it_says_what_the_command_says_of_the_same_file(scratch: Path, binary: str) -> None:
    policy = policy_of(WHOLE)
    said = subprocess.run([binary, "explain", "--config", str(WHOLE), "--model", "any"], stdout=subprocess.PIPE, text=True)
    values = dict(line.split()[:2] for line in said.stdout.splitlines() if len(line.split()) > 2)
    assert values, "the command explains"
    assert values.pop("heartbeat_timeout") == values.pop("progress_timeout") == f"{policy.pop('inference_step_timeout') // 60}m"
    for key, value in policy.items():
        minutes = f"{value // 60}m" if value % 60 == 0 else None
        assert values[key] in (str(value).lower(), f"{value}s", minutes), key


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("preload_timeout: '80'", {"loading_timeout": 80}),
        ("process_timeout: 86400.0", {"process_timeout": 86400}),
        ("preload_timeout: 0x20", {"loading_timeout": 32}),
        ("preload_timeout: 0o20", {"loading_timeout": 16}),
        ("exit_on_unhandled_faults: 1", {"exit_on_unhandled_faults": True}),
        ("exit_on_unhandled_faults: yes", {"exit_on_unhandled_faults": True}),
        ("max_batch: &many 7\nmodels_to_load: [a, b]\nother: *many", {"max_batch": 7}),
        ("dreamer_name: preload_timeout", {}),
    ],
)
def test_the_spellings_of_the_workers_own_reader_are_taken(scratch: Path, line: str, taken: dict[str, object]) -> None:
    assert policy_of(written(scratch, f"api_key: x\n{line}\n")) == taken


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("api_key: x\npreload_timeout: 80s\n", "FILE:2': preload_timeout is '80s', expected whole seconds"),
        ("api_key: x\ndownload_timeout: 2.5\n", "FILE:2': download_timeout is 2.5, expected whole seconds"),
        ("api_key: x\npreload_timeout: 1:30\n", "FILE:2': preload_timeout is '1:30', expected whole seconds"),
        ("api_key: x\nprocess_timeout: -1\n", "FILE:2': process_timeout is -1, expected whole seconds"),
        ("api_key: x\npreload_timeout:\n", "FILE:2': preload_timeout is empty, expected whole seconds"),
        ("api_key: x\npreload_timeout: true\n", "FILE:2': preload_timeout is True, expected whole seconds"),
        ("api_key: x\npreload_timeout: '~'\n", "FILE:2': preload_timeout is '~', expected whole seconds"),
        ("api_key: x\npreload_timeout: [1]\n", "FILE:2': preload_timeout is a list, expected whole seconds"),
        ("api_key: x\nmax_batch: many\n", "FILE:2': max_batch is 'many', expected a whole number"),
        ("api_key: x\nexit_on_unhandled_faults: 2\n", "FILE:2': exit_on_unhandled_faults is 2, expected true or false"),
        ("max_batch: 1\nmax_batch: 2\n", "FILE:2': 'max_batch' stands twice"),
        ("max_batch: 1\nloading_timeout: 2\n", "FILE': it is no bridgeData.yaml"),
        ("max_batch: 1\nmodels:\n  sdxl: {}\n", "FILE': it is no bridgeData.yaml"),
        ("colour: red\n", "FILE': it is no bridgeData.yaml"),
        ("", "FILE': it is empty"),
        ("- a\n", "FILE': it is a list, expected keys with values"),
        ("max_batch: [1\n", "not YAML: "),
        (f"a: {'[' * 3000}\n", "FILE': it is nested too deeply"),
        (f"api_key: x\npreload_timeout: {'9' * 90}\n", "FILE:2': preload_timeout is "),
        (f"api_key: x\npreload_timeout: {'9' * 5000}\n", "FILE:2': preload_timeout is "),
    ],
)
def test_what_is_none_of_it_is_refused_with_its_line_and_the_way_out(scratch: Path, text: str, sentence: str) -> None:
    file = written(scratch, text)
    with pytest.raises(hangwatch.UsageError) as refused:
        policy_of(file)
    said = str(refused.value)
    assert sentence in said.replace(str(file), "FILE") and said.startswith(f"cannot read policy '{file}"), said
    assert refused.value.hints, "it says what to do"


def test_a_file_that_is_not_there_or_no_text_or_no_library_is_said(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hangwatch.UsageError, match="no such file or directory"):
        policy_of(scratch / "none.yaml")
    (scratch / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(hangwatch.UsageError, match="not UTF-8"):
        policy_of(scratch / "binary")
    (scratch / "large").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(hangwatch.UsageError, match="larger than 1048576 bytes"):
        policy_of(scratch / "large")
    for name in ("yaml", "ruamel.yaml"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(hangwatch.UsageError, match=r"no library for YAML is installed\n  pip install pyyaml"):
        policy_of(WHOLE)
