#!/usr/bin/env python3
"""A training loop of PyTorch that hangwatch watches, and the model that it made answering afterwards.

    pip install ./python torch
    hangwatch run --inference-step-timeout 60s -- python examples/torch_worker.py

`--hang step`, `data`, `loader`, `checkpoint` or `call` makes it stand still there, to see what is told of it.
"""

from __future__ import annotations

import argparse
import io
import time
from typing import Tuple

import hangwatch
import torch
from hangwatch.integrations import torch as loops
from torch.utils.data import DataLoader, Dataset

STEPS = 24


class Numbers(Dataset[Tuple[torch.Tensor, torch.Tensor]]):
    """A line, with some noise. One item of it may never come."""

    def __init__(self, hang: bool) -> None:
        self.hang = hang

    def __len__(self) -> int:
        return STEPS * 4

    def __getitem__(self, index: int) -> Tuple[torch.Tensor, torch.Tensor]:
        if self.hang and index == STEPS * 2:
            time.sleep(3600)
        x = torch.full((1,), index / len(self))
        return x, 3 * x + 1


class Model(torch.nn.Module):
    """Layers that run one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hang", choices=["step", "data", "loader", "checkpoint", "call"])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--patience", type=float, default=300, help="seconds that data and checkpoints may take")
    asked = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    hangwatch.dump_stacks_on("SIGUSR1")
    loops.attach()
    net = Model()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loader = DataLoader(Numbers(asked.hang in ("data", "loader")), batch_size=4, num_workers=int(asked.hang == "loader"))
    patience = {"data": asked.patience, "checkpoint": asked.patience}

    with loops.training(optimizer, total=asked.epochs * STEPS, model="line", patience=patience, warm_up=60) as training:
        for epoch in training.epochs(asked.epochs):
            for inputs, targets in training.batches(loader):
                loss = torch.nn.functional.mse_loss(net(inputs), targets)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                if asked.hang == "step" and training.done == 10:
                    time.sleep(3600)
            with training.checkpoint():
                torch.save(net.state_dict(), io.BytesIO())
                if asked.hang == "checkpoint":
                    time.sleep(3600)
    print(f"{training.done} steps, loss {loss.item():.4f}{', stopped' if training.stopped else ''}", flush=True)

    if asked.hang == "call":
        net.layers[1].register_forward_hook(lambda *_: time.sleep(3600))
    with loops.inference(net, layers=net.layers, model="line"), torch.inference_mode():
        for value in (0.0, 0.5, 1.0):
            print(f"{value} -> {net(torch.tensor([[value]])).item():.3f}", flush=True)


if __name__ == "__main__":
    main()
