"""`hangwatch.integrations.torch`, training loops, with the real torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Tuple

import hangwatch
import pytest
from noted import Broken, Noted
from slots import FREE, Slot, taken

torch: Any = pytest.importorskip("torch")
from hangwatch.integrations import torch as loops  # noqa: E402

torch.set_num_threads(1)


def net(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))


def sgd(model: Any) -> Any:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def loader(count: int = 6, **more: Any) -> Any:
    items = torch.arange(count * 4, dtype=torch.float32).reshape(count, 4) / 10
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(items), batch_size=2, shuffle=True, **more)


def learn(model: Any, optimizer: Any, batch: Any) -> None:
    optimizer.zero_grad()
    model(batch[0]).square().mean().backward()
    optimizer.step()


def trained(batches: Callable[[Any], Any], make: Callable[[Any], Any] = lambda optimizer: None) -> Tuple[Any, ...]:
    """A model's weights, its optimizer's state and the random numbers after two epochs."""
    model = net()
    optimizer = sgd(model)
    made = make(optimizer)
    torch.manual_seed(1)
    for _ in range(2):
        for batch in batches(made)(loader()):
            learn(model, optimizer, batch)
    state = [value for entry in optimizer.state_dict()["state"].values() for value in entry.values()]
    return [*model.state_dict().values(), *state], torch.get_rng_state(), [len(m._forward_hooks) for m in model.modules()]


def same(one: Tuple[Any, ...], other: Tuple[Any, ...]) -> bool:
    return len(one[0]) == len(other[0]) and all(torch.equal(a, b) for a, b in zip(one[0], other[0])) and torch.equal(one[1], other[1]) and one[2] == other[2]


def test_one_line_makes_each_step_of_the_optimizer_a_step_of_the_job(calls: Noted) -> None:
    model = net()
    optimizer = sgd(model)
    training = loops.training(optimizer, total=2, model="tiny", warm_up=60)
    for batch in [[torch.ones(1, 4)]] * 2:
        learn(model, optimizer, batch)
    training.end()
    learn(model, optimizer, batch)
    assert calls.calls == [("training", "tiny", 2), "extend 60", 1, 2, "ok"], "and after its end nothing is said"


def test_a_warm_up_is_granted_until_the_first_step_and_again_after_each_wait_for_data(calls: Noted) -> None:
    optimizer = sgd(net())
    with loops.training(optimizer, warm_up=60) as training:
        for at, _ in enumerate(training.batches(range(4))):
            if at > 0:
                optimizer.step()
    told = [call for call in calls.calls if call not in ("data", "leave")]
    assert told == [("training", "", "?"), *["extend 60"] * 2, "beat", "extend 60", 1, "beat", 2, "beat", 3, "beat", "ok"]


def test_waiting_for_data_is_a_phase_and_a_batch_without_a_step_is_a_beat(calls: Noted) -> None:
    optimizer = sgd(net())
    with loops.training(optimizer, total=1) as training:
        assert len(training.batches(loader())) == 3, "a bar around it knows how many there are"
        for at, _ in enumerate(training.batches(loader())):
            if at == 2:
                optimizer.step()
    data = ["data", "leave"]
    assert calls.calls == [("training", "", 1), *data, *data, "beat", *data, "beat", *data, 1, "beat", *data, "ok"]


def test_a_step_that_an_amp_scaler_skips_is_no_step(calls: Noted) -> None:
    model = net()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu")
    with loops.training(optimizer, total=9) as training:
        for batch in training.batches([[torch.full((1, 4), float("inf"))], [torch.ones(1, 4)]]):
            optimizer.zero_grad()
            scaler.scale(model(batch[0]).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
    told = [call for call in calls.calls if call not in ("data", "leave")]
    assert told == [("training", "", 9), "beat", 1, "beat", "ok"], "the first, of infinite gradients, made none"


def test_an_optimizer_that_accelerate_prepared_is_hooked_and_what_is_none_begins_no_job(calls: Noted) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model, optimizer = accelerator.prepare(net(), sgd(net()))
    with loops.training(optimizer, total=1):
        for _ in range(2):
            with accelerator.accumulate(model):
                accelerator.backward(model(torch.ones(1, 4)).sum())
                optimizer.step()
                optimizer.zero_grad()
    assert calls.calls == [("training", "", 1), 1, "ok"], "an accumulated step is none"
    calls.calls.clear()
    with pytest.raises(AttributeError):
        loops.training("no optimizer")
    assert calls.calls == []


def test_the_loop_of_transformers_trainer_is_counted_and_trains_the_same(calls: Noted, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")

    class Model(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()

        def forward(self, x: Any) -> Any:
            return {"loss": self.inner(x).square().mean()}

    def run() -> Any:
        model = Model()
        asked = {"max_steps": 3, "use_cpu": True, "report_to": [], "save_strategy": "no", "disable_tqdm": True}
        arguments = transformers.TrainingArguments(str(tmp_path), gradient_accumulation_steps=2, **asked)
        data = [{"x": torch.full((4,), float(n))} for n in range(48)]
        transformers.Trainer(model=model, args=arguments, train_dataset=data).train()
        return [value for value in model.state_dict().values()]

    without = run()
    with loops.training(any_optimizer=True, total=3):
        watched = run()
    assert calls.calls == [("training", "", 3), 1, 2, 3, "ok"]
    assert all(torch.equal(one, other) for one, other in zip(watched, without))


def test_without_an_optimizer_a_batch_is_a_step_and_of_two_optimizers_the_first_counts(calls: Noted) -> None:
    with loops.training(total=3, start=7) as training:
        for _ in training.batches("ab"):
            pass
    steps = [call for call in calls.calls if isinstance(call, int)]
    assert steps == [7, 8, 9]
    calls.calls.clear()
    first, second = sgd(net()), sgd(net())
    with loops.training(first, second):
        second.step()
        first.step()
    assert calls.calls == [("training", "", "?"), "beat", 1, "ok"]


def test_a_validation_counts_for_itself_and_a_checkpoint_is_a_phase_with_or_without_a_lease(calls: Noted) -> None:
    with loops.training(total=9, patience={"validation": 60}) as training:
        for _ in training.validation(loader(4)):
            pass
        with training.checkpoint(), training.collective():
            pass
        with training.checkpoint(lease=90):
            pass
    data = ["data", "leave"]
    validation = [("validation", 2), *data, *data, 1, *data, 2, *data, "leave"]
    checkpoints = ["checkpoint", "collective", "leave", "leave", "checkpoint", "extend 90", "leave"]
    assert calls.calls == [("training", "", 9), *validation, *checkpoints, "ok"]
    assert calls.budgets == {"data": 300, "validation": 60, "checkpoint": 1800, "collective": 1800}


def test_a_stop_ends_batches_and_epochs_at_the_next_boundary_and_the_job_is_cancelled(calls: Noted) -> None:
    told: List[int] = []

    def on_stop() -> None:
        told.append(training.done)
        raise RuntimeError

    seen: List[Any] = []
    with loops.training(total=9, on_stop=on_stop) as training:
        for epoch in training.epochs(3):
            for batch in training.batches(range(3)):
                seen.append((epoch, batch))
                calls.stop = (epoch, batch) == (1, 1)
            seen.append((epoch, "saved"))
    assert seen == [(0, 0), (0, 1), (0, 2), (0, "saved"), (1, 0), (1, 1), (1, "saved")], "the code around it runs to its end"
    assert told == [5] and training.stopped and calls.calls[-1] == "cancelled"


@pytest.mark.parametrize(("raised", "outcome"), [(ValueError, "failed"), (KeyboardInterrupt, "cancelled")])
def test_how_the_block_ends_is_how_its_job_does_and_the_hooks_are_out(calls: Noted, raised: Any, outcome: str) -> None:
    optimizer = sgd(net())
    with pytest.raises(raised), loops.training(optimizer):
        raise raised
    assert calls.calls == [("training", "", "?"), outcome]
    assert not optimizer._optimizer_step_post_hooks


def test_within_a_job_a_training_is_a_section_with_its_own_count(worker: hangwatch.Worker, segment: Path) -> None:
    with worker.job("all", total=9) as job:
        job.step(4)
        with loops.training(total=5) as training:
            training.step()
            assert (Slot(segment, 0).total, Slot(segment, 0).progress) == (5, 1)
        assert job.open and (Slot(segment, 0).total, Slot(segment, 0).progress) == (9, 4)


def test_weights_state_and_random_numbers_are_the_same_bit_for_bit(worker: hangwatch.Worker, segment: Path) -> None:
    without = trained(lambda _: iter)
    one_line = trained(lambda _: iter, lambda optimizer: loops.training(optimizer, total=6))
    assert Slot(segment, 0).progress == 6
    worker.end_job()
    whole = trained(lambda training: training.batches, lambda optimizer: loops.training(optimizer, total=6))
    assert Slot(segment, 0).progress == 6, "it was watched"
    assert same(one_line, without) and same(whole, without)
    hangwatch.set_current(Broken())  # type: ignore[arg-type]
    broken = trained(lambda training: training.batches, lambda optimizer: loops.training(optimizer, total=6))
    hangwatch.set_current(None)
    nobody = trained(lambda training: training.batches, lambda optimizer: loops.training(optimizer, total=6))
    assert same(broken, without) and same(nobody, without), "whatever is wrong with a report"


def test_what_a_loader_raises_reaches_the_loop_as_it_is(calls: Noted) -> None:
    error = ZeroDivisionError()

    def items() -> Iterator[int]:
        yield 1
        raise error

    with loops.training() as training:
        with pytest.raises(ZeroDivisionError) as caught:
            list(training.batches(items()))
        assert caught.value is error
        with pytest.raises(TypeError):
            len(training.batches(items()))
    assert calls.calls.count("data") == calls.calls.count("leave"), "and no phase is left open"


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_the_workers_of_a_loader_report_nothing_through_their_parents_slot(worker: hangwatch.Worker, segment: Path, way: str) -> None:
    with loops.training(total=9) as training:
        batches = training.batches(torch.utils.data.DataLoader(Meddling(worker if way == "fork" else None), num_workers=1, multiprocessing_context=way))
        seen = [(Slot(segment, 0).progress, Slot(segment, 0).pid, bool(current)) for current in batches]
    pid = Slot(segment, 0).pid
    assert seen == [(None, pid, False), (1, pid, False)], "the steps are the parent's alone, and a child has no worker"
    assert taken(segment, 8) == [0]


class Meddling:
    """Data whose items try to report."""

    def __init__(self, worker: Optional[hangwatch.Worker]) -> None:
        self.worker = worker

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> bool:
        for held in (self.worker, hangwatch.current()):
            if held is not None:
                held.step(99)
                held.begin_job("child")
        return hangwatch.current() is not None


def test_reports_of_another_thread_are_none(calls: Noted) -> None:
    import threading

    model = net()
    optimizer = sgd(model)
    with loops.inference(model), loops.training(optimizer, total=4):
        calls.calls.clear()
        thread = threading.Thread(target=lambda: learn(model, optimizer, [torch.ones(1, 4)]))
        thread.start()
        thread.join()
        assert calls.calls == []


def test_a_worker_is_named_by_its_rank_on_its_ranks_device(segment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with loops.attach(segment=segment) as worker:
        assert worker.device == 1 and b"rank3" in Slot(segment, 0).bytes
    assert Slot(segment, 0).tag == FREE
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        with loops.attach(segment=segment) as worker:
            assert worker.slot is not None and b"rank0" in Slot(segment, worker.slot).bytes, "the process group's word comes before the launcher's"
    finally:
        torch.distributed.destroy_process_group()


def test_a_program_that_ends_by_an_exception_has_failed_its_job(segment: Path) -> None:
    text = f"import hangwatch; from hangwatch.integrations import torch as t; hangwatch.attach(segment={str(segment)!r}); t.training().step(); 1 / 0"
    subprocess.run([sys.executable, "-B", "-c", text], stderr=subprocess.DEVNULL)
    assert (Slot(segment, 0).jobs, Slot(segment, 0).tag) == ((0, 1, 0), FREE), "and no job is lost"
