"""PyTorch: training loops and calls of models become jobs, phases and progress.

    import hangwatch
    from hangwatch.integrations import torch as loops

    loops.attach()                                       # named by the rank, on the rank's device
    with loops.training(optimizer, total=3 * len(loader), model="resnet18") as training:
        for epoch in training.epochs(3):
            for inputs, targets in training.batches(loader):
                loss(net(inputs), targets).backward()
                optimizer.step()                         # a step of the job
                optimizer.zero_grad()
            with training.checkpoint():
                torch.save(net.state_dict(), path)

A loop that is left as it is needs one line before it, `loops.training(optimizer, total=…)`, and one of others, as transformers' Trainer,
`loops.training(any_optimizer=True)`. For inference the line is
`loops.inference(net)`: each call of the model is a job.

What is said, and by whom:

- **A step is a step of the optimizer** (of the first that is named; those of others are beats), through its own post-hook. So an
  accumulated micro-batch is a beat, and so is a batch whose step an AMP scaler skips: a loop that skips every step stands still, and is told.
  Without an optimizer a step is a batch.
- **Waiting for data** is the phase `data`, from asking the loader to its answer: a loader that hangs is told from a step that does.
- **Compiling** is the phase `compiling`, whenever `torch.compile` is at work, at the first step or at a shape that is met later.
- **The loader's workers are forked**: what they report goes nowhere, since a child's worker is dead.
- **A stop** that the monitor asks for ends `batches` and `epochs` at the next boundary, and the job is cancelled. The loop's own
  code after it runs: it saves what it wants to save.
- **Weights, random numbers and outputs** are what they would be without, bit for bit. A copy or a pickle of a watched model is not
  watched, and needs no hangwatch to be loaded.

Reports belong to the thread that made the object; calls of others are not reported. Nothing here raises into the loop.
"""

from __future__ import annotations

from ._inference import Inference, inference
from ._ranks import attach
from ._training import Batches, Training, training

__all__ = ["Batches", "Inference", "Training", "attach", "inference", "training"]
