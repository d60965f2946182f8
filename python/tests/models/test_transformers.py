"""`hangwatch.integrations.transformers` with real models of random weights: what is seen from outside, and that nothing else changes."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, cast

import pytest

import hangwatch
from hangwatch import PHASES, UNKNOWN
from hangwatch.integrations import transformers as watching
from slots import FREE, LIVE, Slot, asks_to_stop

torch = pytest.importorskip("torch")
import tiny

PREFILL = 256  # the first phase of a segment's own
DECODE = PHASES["inference"]
PROMPT = torch.tensor([[3, 4, 5]])
BATCH = torch.tensor([[3, 4, 5], [0, 6, 7]])


@pytest.fixture
def installed(worker: hangwatch.Worker) -> Iterator[watching.Installed]:
    with watching.install() as hooks:
        yield hooks


def seen(segment: Path, model: Any) -> List[Tuple[int, Optional[int], int]]:
    """What the slot's file says at each forward."""
    found: List[Tuple[int, Optional[int], int]] = []

    def look(*_: Any) -> None:
        slot = Slot(segment, 0)
        assert slot.depth == 1, "one section within the job: the one before it was left"
        found.append((slot.phase, slot.progress, slot.total))

    model.register_forward_pre_hook(look)
    return found


MODES: Dict[str, Tuple[Callable[[], Any], Any, Dict[str, Any]]] = {
    "greedy": (tiny.llama, PROMPT, {}),
    "batch": (tiny.llama, BATCH, {"attention_mask": (BATCH > 0).long()}),
    "sampled": (tiny.llama, PROMPT, {"do_sample": True, "num_return_sequences": 2}),
    "beams": (tiny.llama, BATCH, {"num_beams": 3}),
    "sampled beams": (tiny.llama, PROMPT, {"num_beams": 2, "do_sample": True}),
    "prompt lookup": (tiny.llama, PROMPT, {"prompt_lookup_num_tokens": 2}),
    "chunked prefill": (tiny.llama, PROMPT, {"prefill_chunk_size": 2}),
    "encoder and decoder": (tiny.t5, PROMPT, {}),
    "encoder and decoder, beams": (tiny.t5, BATCH, {"num_beams": 2}),
}


@pytest.mark.parametrize("mode", MODES)
def test_in_each_mode_the_tokens_are_what_they_are_without_and_each_is_progress(
    mode: str, worker: hangwatch.Worker, segment: Path
) -> None:
    make, ids, how = MODES[mode]
    model = make()

    def generated() -> Any:
        torch.manual_seed(1)
        return model.generate(ids, max_new_tokens=5, return_dict_in_generate=True, output_scores=True, **how)

    without = generated()
    with watching.install():
        found = seen(segment, model)
        hooked = generated()
    assert torch.equal(hooked.sequences, without.sequences), "the same tokens"
    assert all(map(torch.equal, hooked.scores, without.scores)), "and the same scores"
    chunks = 2 if mode == "chunked prefill" else 1
    assert found[:chunks] == [(PREFILL, None, 0)] * chunks, "the prompt is told apart"
    assert found[chunks:] == [(DECODE, done, 5) for done in range(1, 5)], "what is done while the next one is made"
    slot = Slot(segment, 0)
    assert (slot.phase, slot.depth, slot.jobs) == (PHASES["idle"], 0, (1, 0, 0))


def test_an_assistants_drafts_are_a_part_of_the_call(installed: watching.Installed, segment: Path) -> None:
    model, assistant = tiny.llama(), tiny.llama()
    installed.remove()
    without = model.generate(PROMPT, max_new_tokens=6, assistant_model=assistant)
    with watching.install():
        found, drafting = seen(segment, model), seen(segment, assistant)
        assert torch.equal(model.generate(PROMPT, max_new_tokens=6, assistant_model=assistant), without)
    assert drafting[0] == (PREFILL, None, 0) and set(drafting[1:]) <= set(found), "a draft shows what the call shows"
    assert found[0] == (PREFILL, None, 0)
    done = [progress for phase, progress, total in found[1:] if (phase, total) == (DECODE, 6) and progress is not None]
    assert len(done) == len(found) - 1 > 0 and done == sorted(set(done)) and done[0] >= 1, "several tokens at once are so many steps"
    assert Slot(segment, 0).jobs == (1, 0, 0), "one job"


@pytest.mark.parametrize(
    ("how", "total"),
    [
        ({"max_new_tokens": 2}, 2),
        ({"max_length": 7}, 4),
        ({"max_length": 50, "max_new_tokens": 3}, 3),
        ({"generation_config": {"max_new_tokens": 4}}, 4),
        ({}, UNKNOWN),
    ],
)
def test_the_total_is_how_many_tokens_may_be_made(
    how: Dict[str, Any], total: int, installed: watching.Installed, segment: Path
) -> None:
    from transformers import GenerationConfig

    if "generation_config" in how:
        how = {"generation_config": GenerationConfig(**how["generation_config"])}
    model = tiny.llama()
    found = seen(segment, model)
    model.generate(PROMPT, **how)
    assert {it[2] for it in found[1:]} == {total} and found[1][1] == 1


def test_hangwatch_status_tells_the_phase_and_the_percentage_meanwhile(
    installed: watching.Installed, segment: Path, binary: str
) -> None:
    told: List[Any] = []

    def tell(*_: Any) -> None:
        status = subprocess.run([binary, "status", "--json", "--segment", segment], stdout=subprocess.PIPE, check=True)
        (worker,) = json.loads(status.stdout)["workers"]
        told.append(tuple(worker[field] for field in ("phase", "done", "total", "percent", "model", "verdict")))

    model = tiny.llama()
    model.register_forward_pre_hook(tell)
    model.generate(PROMPT, max_new_tokens=4)
    name = ("LlamaForCausalLM", "ok")
    assert told == [("prefill", None, None, None, *name), *(("inference", done, 4, done * 25, *name) for done in (1, 2, 3))]


def test_a_pipeline_and_a_streamer_are_as_without(installed: watching.Installed, segment: Path, capsys: Any) -> None:
    from transformers import TextStreamer, pipeline

    model, tokenizer = tiny.llama(), tiny.tokenizer()
    texts, streams = [], []
    for _ in range(2):
        chat = pipeline("text-generation", model=model, tokenizer=tokenizer)
        texts.append(chat(["a b c", "d e"], max_new_tokens=4, batch_size=2, do_sample=False))
        model.generate(PROMPT, max_new_tokens=4, streamer=TextStreamer(tokenizer))
        streams.append(capsys.readouterr().out)
        installed.remove()
    assert texts[0] == texts[1] and streams[0] == streams[1] != ""
    assert Slot(segment, 0).jobs == (2, 0, 0), "those with the hooks were reported"


def test_a_load_is_a_phase_with_its_weights_as_its_count(
    installed: watching.Installed, segment: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    import transformers.core_model_loading as loading
    from transformers import AutoModelForCausalLM

    tiny.saved("transformers", tmp_path / "tiny")
    found: List[Tuple[int, Optional[int], int]] = []
    original = loading.set_param_for_module

    def looks(*args: Any, **kwargs: Any) -> Any:
        slot = Slot(segment, 0)
        found.append((slot.phase, slot.progress, slot.total))
        return original(*args, **kwargs)

    monkeypatch.setattr(loading, "set_param_for_module", looks)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    assert len(found) == 21 and found == [(PHASES["loading"], done or None, 21) for done in range(21)]
    model.generate(PROMPT, max_new_tokens=1)
    assert Slot(segment, 0).texts[1] == "tiny", "its folder's name is the model's"


def test_criteria_of_the_hosts_own_are_asked_first_and_get_what_they_get_without(
    installed: watching.Installed, segment: Path
) -> None:
    from transformers import StoppingCriteria, StoppingCriteriaList

    class AtFive(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            lengths.append((input_ids.shape[1], Slot(segment, 0).progress))
            return torch.full((input_ids.shape[0],), input_ids.shape[1] >= 5, dtype=torch.bool)

    lengths: List[Tuple[int, Optional[int]]] = []
    own = StoppingCriteriaList([AtFive()])
    tokens = tiny.llama().generate(PROMPT, max_new_tokens=9, stopping_criteria=own)
    assert tokens.shape == (1, 5) and len(own) == 1, "it stops where the host says, and the host's list is as it was"
    assert lengths == [(4, None), (5, 1)]


@pytest.mark.parametrize("mode", ["greedy", "batch", "beams", "encoder and decoder"])
def test_a_stop_that_the_monitor_asks_for_ends_the_call_which_returns_what_it_has(
    mode: str, worker: hangwatch.Worker, segment: Path
) -> None:
    make, ids, how = MODES[mode]
    model, told = make(), cast("List[int]", [])
    whole = model.generate(ids, max_new_tokens=9, **how)
    forwards: List[int] = []

    def third(*_: Any) -> None:
        forwards.append(1)
        if len(forwards) == 3:
            asks_to_stop(segment, worker)

    model.register_forward_pre_hook(third)
    with watching.install(on_stop=lambda: told.append(len(forwards))):
        tokens = model.generate(ids, max_new_tokens=9, **how)
    assert (len(forwards), told, Slot(segment, 0).jobs) == (3, [3], (0, 0, 1)), "no token more, and the job is called off"
    before = 1 if model.config.is_encoder_decoder else ids.shape[1]
    assert tokens.shape == (len(ids), before + 3), "a whole batch of what there is"
    if "num_beams" not in how:
        assert torch.equal(tokens, whole[:, : before + 3])


def test_what_a_model_raises_fails_the_job_and_ctrl_c_calls_it_off(installed: watching.Installed, segment: Path) -> None:
    for error, jobs in ((ZeroDivisionError, (0, 1, 0)), (KeyboardInterrupt, (0, 1, 1))):
        model = tiny.llama()

        def raises(*_: Any, error: Any = error) -> None:
            if Slot(segment, 0).progress == 2:
                raise error

        model.register_forward_pre_hook(raises)
        with pytest.raises(error):
            model.generate(PROMPT, max_new_tokens=5)
        slot = Slot(segment, 0)
        assert (slot.phase, slot.depth, slot.jobs) == (PHASES["idle"], 0, jobs)
    with pytest.raises(ValueError, match="not used by the model"):
        tiny.llama().generate(PROMPT, nonsense=1)


def test_the_first_call_of_a_model_has_leases_for_its_first_two_tokens_and_the_next_has_none(
    installed: watching.Installed, segment: Path
) -> None:
    model, leases = tiny.llama(), cast("List[int]", [])
    model.register_forward_pre_hook(lambda *_: leases.append(Slot(segment, 0).lease_ms))
    for _ in range(2):
        model.generate(PROMPT, max_new_tokens=2)
    assert leases == [300_000, 300_000, 0, 0]


def test_a_call_within_a_job_of_ones_own_is_a_part_of_it(
    installed: watching.Installed, worker: hangwatch.Worker, segment: Path
) -> None:
    model = tiny.llama()
    found = seen(segment, model)
    with worker.job("a1b2", model="chat", total=2) as job:
        for turn in (1, 2):
            model.generate(PROMPT, max_new_tokens=2)
            job.step(turn)
            assert job.open and Slot(segment, 0).texts[:2] == ("a1b2", "chat")
            assert (Slot(segment, 0).progress, Slot(segment, 0).total) == (turn, 2), "the job's own count"
    assert found == [(PREFILL, None, 0), (DECODE, 1, 2)] * 2


def test_calls_in_threads_have_the_worker_and_lanes_of_their_own(installed: watching.Installed, segment: Path) -> None:
    both = threading.Barrier(2)
    shown: List[Any] = []

    def meets(*_: Any) -> None:
        both.wait()
        shown.append([(Slot(segment, at).tag, Slot(segment, at).phase) for at in (0, 1)])
        both.wait()

    def calls() -> None:
        model = tiny.llama()
        model.register_forward_pre_hook(meets)
        model.generate(PROMPT, max_new_tokens=2)

    threads = [threading.Thread(target=calls) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown == [[(LIVE, PREFILL)] * 2] * 2 + [[(LIVE, DECODE)] * 2] * 2
    assert (Slot(segment, 0).jobs, Slot(segment, 1).tag) == ((1, 0, 0), FREE), "the lane is given back with its thread"


def test_nothing_that_fails_inside_reaches_generate() -> None:
    class Broken:
        attached, in_job, works = True, False, cast("Tuple[str, ...]", ())

        def __getattr__(self, name: str) -> Any:
            if name in self.works:
                return lambda *args, **kwargs: None
            raise RuntimeError(name)

    model = tiny.llama()
    without = model.generate(BATCH, max_new_tokens=4)
    for works in [(), ("begin_job",), ("begin_job", "enter"), ("begin_job", "enter", "leave", "extend", "step")]:
        broken: Any = Broken()
        broken.works = works
        with watching.install(broken):
            assert torch.equal(model.generate(BATCH, max_new_tokens=4), without), works


def test_modes_that_take_no_criteria_are_as_without(installed: watching.Installed, segment: Path) -> None:
    model = tiny.llama()

    def ones(model: Any, input_ids: Any, logits_processor: Any, stopping_criteria: Any, generation_config: Any, **kwargs: Any) -> Any:
        assert list(map(type, stopping_criteria)) == kinds, "its own criteria alone"
        return torch.ones_like(input_ids)

    from transformers.generation import MaxLengthCriteria

    kinds = [MaxLengthCriteria]
    assert model.generate(PROMPT, max_new_tokens=3, custom_generate=ones).tolist() == [[1, 1, 1]]
    assert Slot(segment, 0).jobs == (0, 0, 0)
