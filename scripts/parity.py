#!/usr/bin/env python3
"""Holds our recurrent networks against PyTorch's, live: `scripts/parity.py` (needs torch, numpy, safetensors).

Random shapes (`--rounds 3` of each), layers 1-3, batch 1-64: PyTorch's weights into our networks (outputs to 1e-5, gradients to 1e-4,
AdamW to 1e-6 over 100 steps), and the files we save back into torch.nn with load_state_dict.
`scripts/parity.py --write` makes the committed reference numbers in tests/it/fixtures/pytorch.
"""
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parent.parent
CELLS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}


def network(cell, layers, inputs, hidden):
    return CELLS[cell](inputs, hidden, num_layers=layers, batch_first=True)


def write_case(folder, cell, layers, batch, time, inputs, hidden):
    """One file: weights, input, output, and the gradients of sum(by_output * output)."""
    torch.manual_seed(hash((layers, batch, time, inputs, hidden)) % 2**31)
    net = network(cell, layers, inputs, hidden)
    x = torch.randn(batch, time, inputs, requires_grad=True)
    output, _ = net(x)
    by_output = torch.randn_like(output)
    (output * by_output).sum().backward()
    tensors = {"input": x, "output": output, "by_output": by_output, "gradient.input": x.grad}
    for name, weight in net.named_parameters():
        tensors[f"net.{name}"] = weight
        tensors[f"gradient.net.{name}"] = weight.grad
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, folder / f"{cell}-{layers}-{batch}-{time}-{inputs}-{hidden}.safetensors")


def write_adamw(folder):
    """100 steps with clipping at norm 1 on gradients whose norms lie on both sides of it."""
    torch.manual_seed(1)
    weight = torch.randn(37)
    gradients = torch.randn(100, 37) * torch.linspace(0.02, 1.0, 100)[:, None]
    parameter = torch.nn.Parameter(weight.clone())
    optimizer = torch.optim.AdamW([parameter], lr=3e-3, weight_decay=0.05)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        optimizer.step()
    save_file({"before": weight, "gradients": gradients, "after": parameter.detach()}, folder / "adamw.safetensors")


def our_files_load_into_torch(folder):
    """The test left each network saved by us, and what it answered."""
    for path in sorted(folder.glob("ours-*.safetensors")):
        cell, layers, _, _, inputs, hidden = path.stem.removeprefix("ours-").split("-")
        ours = load_file(path)
        net = network(cell, int(layers), int(inputs), int(hidden))
        weights = {name.removeprefix("net."): tensor for name, tensor in ours.items() if name.startswith("net.")}
        net.load_state_dict(weights)
        with torch.no_grad():
            worst = (net(ours["input"])[0] - ours["output"]).abs().max().item()
        assert worst < 1e-5, f"{path.stem}: {worst}"
        print(f"torch loads {path.stem}: outputs within {worst:.1e}")


def main():
    if "--write" in sys.argv:
        folder = ROOT / "tests/it/fixtures/pytorch"
        for cell in CELLS:
            for layers in (1, 2, 3):
                write_case(folder, cell, layers, batch=2, time=3, inputs=3, hidden=5)
        write_adamw(folder)
        return
    rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for cell in CELLS:
            for layers in (1, 2, 3) * rounds:
                shape = [random.randint(1, 64), random.randint(1, 40), random.randint(1, 24), random.randint(1, 80)]
                write_case(folder, cell, layers, *shape)
            write_case(folder, cell, 1, 64, 60, 8, 64)
        write_adamw(folder)
        command = ["cargo", "test", "--test", "it", "nn::live_parity", "--", "--ignored", "--nocapture"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "CANDLECAST_PARITY": name}, check=True)
        our_files_load_into_torch(folder)
    print("parity holds")


if __name__ == "__main__":
    main()
