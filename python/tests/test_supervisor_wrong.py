"""What a supervisor takes as an argument, and what it refuses with a sentence."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, List

import pytest

import hangwatch
import targets
from hangwatch import Supervisor


async def coroutine(*_: object) -> None: ...


def generator(*_: object) -> Iterator[None]:
    yield


class Awaited:
    async def __call__(self, *_: object) -> None: ...


WRONG: List[Any] = [
    (dict(worker="python worker.py"), "the worker is a text"),
    (dict(worker=["python"], args=(1,)), "args, kwargs, context and name are a function's\n  give a command as a list"),
    (dict(worker=["true"], kwargs={"a": 1}), "args, kwargs, context and name are a function's"),
    (dict(worker=["true"], context="nonsense"), "args, kwargs, context and name are a function's"),
    (dict(worker=["true"], name="mine"), "args, kwargs, context and name are a function's"),
    (dict(worker=print, name=5), "name is 5, expected a text"),
    (dict(worker=coroutine), "worker is a coroutine function, which nobody would await\n  give a function that runs it"),
    (dict(worker=functools.partial(coroutine, 1)), "worker is a coroutine function"),
    (dict(worker=Awaited()), "worker is a coroutine function"),
    (dict(worker=generator), "worker is a generator function, which nobody would iterate"),
    (dict(worker=["true"], on_event=coroutine), "on_event is a coroutine function, which nobody would await\n  write 'async for"),
    (dict(worker=["true"], on_event=Awaited()), "on_event is a coroutine function"),
    (dict(worker=["true"], on_event=generator), "on_event is a generator function"),
    (dict(worker=[]), "no command was given"),
    (dict(worker=["true"], restart="often"), "restart is 'often', expected 'on-failure', 'always' or 'never'"),
    (dict(worker=["true"], mode="kill"), "mode is 'kill'"),
    (dict(worker=5), "worker is 5, expected a list of words, or a function"),
    (dict(worker=["true", 5]), "worker is ['true', 5], expected a list of words, or a function"),
    (dict(worker=["true"], replicas=0), "0 replicas"),
    (dict(worker=["true"], replicas=-1), "replicas is -1, expected a whole number, 0 or more"),
    (dict(worker=["true"], replicas="2"), "replicas is '2', expected a whole number"),
    (dict(worker=["true"], replicas=None), "replicas is None, expected a whole number"),
    (dict(worker=["true"], restart=None), "restart is None, expected 'on-failure'"),
    (dict(worker=["true"], replicas=True), "replicas is True, expected a whole number"),
    (dict(worker=["true"], slots=2.5), "slots is 2.5, expected a whole number"),
    (dict(worker=["true"], env={"A": 1}), "env is {'A': 1}, expected a dict of texts\n  write {'PORT': '80{i}'}"),
    (dict(worker=["true"], env=[("A", "1")]), "env is [('A', '1')], expected a dict of texts"),
    (dict(worker=["true"], devices="01"), "devices is '01', expected a list of names and numbers"),
    (dict(worker=["true"], devices=[None]), "devices is [None], expected a list of names and numbers"),
    (dict(worker=["true"], log_dir=5), "log_dir is 5, expected a path"),
    (dict(worker=["true"], log_dir="/etc/passwd"), "log_dir is '/etc/passwd': it is no folder"),
    (dict(worker=["true"], log_dir="/etc/passwd/below"), "log_dir is '/etc/passwd/below': it is no folder"),
    (dict(worker=["true"], jsonl="a\0b"), "jsonl is 'a\\x00b', expected a path, in which there is no NUL"),
    (dict(worker=["true"], evidence=5), "evidence is 5, expected a path"),
    (dict(worker=["true"], evidence=True, dump=["'x"]), "dump is \"'x\", expected a command in a text, or a list of words: no closing"),
    (dict(worker=["true"], evidence=True, dump=[5]), "dump is [5], expected a list of programs"),
    (dict(worker=["true"], reclaim_probe="'x"), "reclaim_probe is \"'x\", expected a command in a text, or a list of words: no clos"),
    (dict(worker=["true"], evidence=True, dump="py-spy"), "dump is 'py-spy', expected a list of programs, such as ['py-spy']"),
    (dict(worker=["true"], evidence=True, gpu_facts=5), "gpu_facts is 5, expected a command: a text, or a list of words"),
    (dict(worker=["true"], reclaim_probe=[5]), "reclaim_probe is [5], expected a command"),
    (dict(worker=["true"], keep=1), "keep is 1, expected True or False"),
    (dict(worker=["true"], on_event=7), "on_event is 7, expected a function of one event"),
    (dict(worker=print, context="frok"), "context is 'frok', expected one of 'fork', 'spawn', 'forkserver', or a context"),
    (dict(worker=print, args="abc"), "args is 'abc', expected a list of arguments, or a function that gives one for each replica"),
    (dict(worker=print, args=5), "args is 5, expected a list of arguments"),
    (dict(worker=print, kwargs=[5]), "kwargs is [5], expected a dict"),
    (dict(worker=["true"], replicas=9, slots=4), "9 replicas, the segment has 4 slots"),
    (dict(worker=["true"], env={"A=B": "c"}), "is no name of a variable"),
    (dict(worker=["true"], faulthandler="SIGUSR1"), "kept as evidence, and none is to be kept"),
    (dict(worker=["true"], evidence=True, faulthandler="SIGKILL"), "faulthandler is 'SIGKILL', expected 'SIGUSR1' or 'SIGUSR2'"),
    (dict(worker=["true"], policy={"graze": 1}), "unknown key 'graze'"),
]


@pytest.mark.parametrize(("arguments", "why"), WRONG)
def test_what_makes_no_sense_is_refused_with_a_sentence(segment: Path, arguments: Any, why: str) -> None:
    with pytest.raises(hangwatch.UsageError) as refused:
        Supervisor(segment=segment, **arguments)
    assert why in str(refused.value), refused.value
    assert "--slots" not in str(refused.value), f"no flag of the binary: {refused.value}"


def test_a_folder_for_logs_that_cannot_be_made_says_why(segment: Path) -> None:
    with pytest.raises(hangwatch.NotFoundError) as refused:
        Supervisor(["true"], segment=segment, log_dir="/proc/none")
    assert str(refused.value) == "cannot run workers: log_dir is '/proc/none': no such file or directory"


@pytest.mark.parametrize("given", [5, "abc", b"abc"])
def test_arguments_that_are_none_are_told_as_what_was_not_started(segment: Path, given: Any) -> None:
    with Supervisor(targets.exits, args=lambda number: given, segment=segment) as supervisor:
        results = supervisor.wait()
    assert results is not None and f"args gave {given!r} for replica 0, expected a tuple" in str(results[0].why)


def test_what_can_be_read_once_is_read_once(segment: Path, scratch: Path) -> None:
    logs = [scratch / "of-a-function", scratch / "of-a-command"]
    with Supervisor(
        targets.says,
        replicas=2,
        args=(it for it in (str(scratch), 7)),  # type: ignore[arg-type]
        devices=map(str, (4, 5)),  # type: ignore[arg-type]
        evidence=scratch / "evidence",
        dump=(command for command in [iter(["true", "{pid}"])]),  # type: ignore[arg-type]
        reclaim_probe=iter(["true"]),  # type: ignore[arg-type]
        segment=segment,
        log_dir=logs[0],
    ) as supervisor:
        supervisor.wait()
    texts = [(logs[0] / f"worker-{i}.log").read_text() for i in range(2)]
    assert [text.splitlines()[0] for text in texts] == [f"7 ['{4 + i}', '{4 + i}', None, None]" for i in range(2)]
    with Supervisor(iter(["echo", b"a", Path("b")]), segment=segment, log_dir=logs[1]) as supervisor:  # type: ignore[arg-type]
        supervisor.wait()
    assert (logs[1] / "worker-0.log").read_text() == "a b\n"


def test_paths_may_be_bytes(segment: Path, scratch: Path) -> None:
    named: Any = {name: os.fsencode(scratch / name) for name in ("segment", "log_dir", "evidence", "learnt", "jsonl")}
    with Supervisor(["true"], keep=True, **named) as supervisor:
        results = supervisor.wait()
        assert supervisor.segment == str(segment)
    assert results is not None and results[0].end == "exited" and (scratch / "log_dir" / "worker-0.log").exists()
    for name in ("evidence", "log_dir"):
        del named[name]
    with hangwatch.Monitor(**{**named, "learnt": os.fsencode(scratch / "other")}) as monitor:
        assert monitor.segment == str(segment) and hangwatch.status(named["segment"]).monitor.alive


def test_a_dumper_that_is_not_there_is_told_before_it_is_needed(segment: Path, scratch: Path) -> None:
    with Supervisor(["true"], segment=segment, evidence=scratch / "evidence", dump=["no-such-program {pid}"]) as supervisor:
        assert any("no-such-program" in warning for warning in supervisor.warnings)
