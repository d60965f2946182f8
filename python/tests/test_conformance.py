from __future__ import annotations

import json
import subprocess
import sys

from conftest import HERE


def test_every_calls_effect_on_the_slot_is_what_the_suite_says(binary: str) -> None:
    # A busy machine is no reason to call a writer mute.
    command = [binary, "conformance", "--json", "--deadline", "10m", "--", sys.executable, "-B", str(HERE / "driver.py")]
    suite = subprocess.run(command, capture_output=True, text=True)
    report = json.loads(suite.stdout)
    wrong = [case for case in report["cases"] if case["result"] != "passed"]
    assert not wrong, "the package has every call, and every one does what it must"
    assert (suite.returncode, report["failed"], report["skipped"]) == (0, 0, 0)
    assert report["passed"] >= 93, "the suite is whole"
