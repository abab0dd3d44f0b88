"""Which gate values keep a state from t' to t? A trained GRU shows: python -m samples.gate_practice.

The model is told at each step to store a number, to flip the sign of what it holds, or to hold it, and says
at every step what it holds. Flipping needs the old state in the candidate, storing must not let it in, and a
hold must not change it: so the reset and the update gate are both needed. One hidden unit is enough, and
what its two gates do can be read off.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

import grubridge

__all__ = ["COMMANDS", "Practice", "gates", "sequences", "table", "train"]

COMMANDS = HOLD, STORE, FLIP = "hold", "store", "flip"
SEED = 21
STEPS = 16
LEARNED = 0.005
"""The mean square error below which the task counts as learnt; answering 0 all the time scores 0.33."""


class Practice(NamedTuple):
    """Sequences of commands.

    Args:
        x: [N, T, 3], float32: the number, then 1 where it is to be stored, then 1 where the state flips.
        held: [N, T], float32: what is held after each step, the right answers.
        commands: [N, T]: an index into `COMMANDS`.
    """

    x: npt.NDArray[np.float32]
    held: npt.NDArray[np.float32]
    commands: npt.NDArray[np.int64]


def sequences(commands: npt.NDArray[np.int64], numbers: npt.NDArray[np.float64]) -> Practice:
    """Return the inputs and right answers of commands [N, T] and numbers [N, T], which only a store reads."""
    stores, flips = commands == COMMANDS.index(STORE), commands == COMMANDS.index(FLIP)
    held, state = np.empty_like(numbers), np.zeros(len(numbers))
    for t in range(numbers.shape[1]):
        state = np.where(stores[:, t], numbers[:, t], np.where(flips[:, t], -state, state))
        held[:, t] = state
    x = np.stack([numbers, stores, flips], axis=2)
    return Practice(x.astype(np.float32), held.astype(np.float32), commands)


def draw(rng: np.random.Generator, count: int) -> Practice:
    """Return random sequences that begin with a store."""
    commands = rng.choice(len(COMMANDS), size=(count, STEPS), p=[0.6, 0.2, 0.2])
    commands[:, 0] = COMMANDS.index(STORE)
    return sequences(commands, rng.uniform(-1, 1, (count, STEPS)))


class Keeper(torch.nn.Module):
    """One unit of a GRU, and a line that turns its state into what is held."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = torch.nn.GRU(3, 1, batch_first=True)
        self.head = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the numbers held, [N, T], of inputs [N, T, 3]."""
        hidden, _ = self.gru(x)
        held: torch.Tensor = self.head(hidden)
        return held[..., 0]


def train() -> Keeper:
    """Return a trained model. A single unit may end in a poor minimum; training then begins anew."""
    torch.set_num_threads(1)
    for seed in range(SEED, SEED + 20):
        torch.manual_seed(seed)
        rng, model = np.random.default_rng(seed), Keeper()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        loss = torch.nn.MSELoss()
        for _ in range(600):
            drawn = draw(rng, 64)
            error = loss(model(torch.from_numpy(drawn.x)), torch.from_numpy(drawn.held))
            optimizer.zero_grad()
            torch.autograd.backward(error)
            optimizer.step()
        test = draw(rng, 256)
        with torch.no_grad():
            if loss(model(torch.from_numpy(test.x)), torch.from_numpy(test.held)) < LEARNED:
                return model.eval()
    raise RuntimeError("no model learnt the task in 20 trainings")


def gates(model: Keeper, practice: Practice) -> dict[str, npt.NDArray[Any]]:
    """Return z, r, n and h, [N, T] each, as the trained nn.GRU itself computed them."""
    traced = grubridge.trace(model.gru, {"x": practice.x})[0, "forward"]
    if traced.gates is None:
        raise RuntimeError("PyTorch did not tell its gates")
    found = traced.gates
    named = {"z": found.update, "r": found.reset, "n": found.candidate, "h": traced.hidden}
    return {name: values[..., 0] for name, values in named.items()}


def shown() -> Practice:
    """Return one sequence: a number, a flip, then at t' = 5 a new number that is held until t = 15."""
    commands = np.zeros((1, STEPS), np.int64)
    commands[0, [0, 5]], commands[0, 3] = COMMANDS.index(STORE), COMMANDS.index(FLIP)
    numbers = np.random.default_rng(SEED).uniform(-1, 1, (1, STEPS))  # those between are to be ignored
    numbers[0, [0, 5]] = 0.8, 0.5
    return sequences(commands, numbers)


def table(practice: Practice, told: dict[str, npt.NDArray[Any]], answers: npt.NDArray[Any]) -> list[str]:
    """Return a line per step of the first sequence, and a curve per gate."""
    lines = [" t  command  number      z      r      n      h   holds  right"]
    for t, command in enumerate(practice.commands[0]):
        numbers = [told[name][0, t] for name in "zrnh"] + [answers[0, t], practice.held[0, t]]
        cells = "".join(f"{number:7.3f}" for number in numbers)
        lines.append(f"{t:2}  {COMMANDS[command]:7} {practice.x[0, t, 0]:7.3f}{cells}")
    return [*lines, *(f"{name} {curve(told[name][0])}  from 0 to 1, step by step" for name in "zr")]


def curve(values: npt.NDArray[Any]) -> str:
    """Return values from 0 to 1 as blocks of that height."""
    return "".join("▁▂▃▄▅▆▇█"[min(int(value * 8), 7)] for value in values)


def main() -> None:
    """Train, trace, and say what the gates do at t', and from t' to t."""
    model, practice = train(), shown()
    told = gates(model, practice)
    with torch.no_grad():
        answers = model(torch.from_numpy(practice.x)).numpy()
    print("\n".join(table(practice, told, answers)))
    z, r = told["z"][0], told["r"][0]
    print(f"""
At t' = 5 the number enters: r = {r[5]:.3f} keeps the old state out of the candidate, and
z = {z[5]:.3f} lets the candidate replace the state. From 6 to 15 the state stays:
z is {z[6:].min():.3f} or more, and {np.prod(z[6:]):.0%} of the state at t' is left at t = 15 (product of z).
While z is near 1, r says little.""")


if __name__ == "__main__":
    main()
