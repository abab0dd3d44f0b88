"""The main job, shown on the sample models: convert in every direction, run each result beside its source.

Each step is the command that a user would type. The converted files go into a temporary folder.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent
CLASSIFIER = SAMPLES / "digits_bidirectional.keras"
REGRESSOR = SAMPLES / "sunspots_reset_before.h5"
TWO_LAYER = SAMPLES / "digits_two_layer.pt"
EXPORTED = SAMPLES / "digits_two_layer.onnx"
WRONG = SAMPLES / "wrong"
OWN_CELL = SAMPLES / "cells" / "concat-xh.pt"


def main() -> int:
    """Run the demonstration; return 0 when every step ended as it should."""
    with tempfile.TemporaryDirectory(prefix="grubridge-demo-") as folder:
        made = Path(folder)
        steps: tuple[tuple[str, int, list[str | Path]], ...] = (
            ("A Keras classifier, bidirectional: what is inside?", 0, ["inspect", CLASSIFIER]),
            ("Into a PyTorch state dict", 0, ["convert", CLASSIFIER, made / "digits.pt"]),
            (
                "Into ONNX, one real GRU node, its gates as further outputs",
                0,
                ["convert", CLASSIFIER, made / "digits.onnx", "--with-gates"],
            ),
            ("Into safetensors", 0, ["convert", CLASSIFIER, made / "digits.safetensors"]),
            (
                "Each run by its own framework beside the source, on the same inputs",
                0,
                ["verify", CLASSIFIER, made / "digits.pt", made / "digits.onnx", made / "digits.safetensors"],
            ),
            ("A two-layer PyTorch model into Keras", 0, ["convert", TWO_LAYER, made / "two_layer.keras"]),
            ("... and into ONNX", 0, ["convert", TWO_LAYER, made / "two_layer.onnx"]),
            ("What PyTorch itself exported, back into PyTorch", 0, ["convert", EXPORTED, made / "back.pt"]),
            ("... and into Keras", 0, ["convert", EXPORTED, made / "back.keras"]),
            (
                "All of them are one function",
                0,
                [
                    "verify",
                    TWO_LAYER,
                    made / "two_layer.keras",
                    made / "two_layer.onnx",
                    EXPORTED,
                    made / "back.pt",
                    made / "back.keras",
                ],
            ),
            (
                "reset_after=False has no PyTorch twin: refused, nothing written",
                2,
                ["convert", REGRESSOR, made / "sunspots.pt"],
            ),
            ("ONNX holds it", 0, ["convert", REGRESSOR, made / "sunspots.onnx"]),
            ("The same numbers?", 0, ["verify", REGRESSOR, made / "sunspots.onnx"]),
            (
                "A wrong port: PyTorch's weights copied into Keras, gates left in PyTorch's order",
                1,
                ["verify", WRONG / "source.pt", WRONG / "unreordered_gates.keras"],
            ),
            (
                "The cause was named: the port, written anew",
                0,
                [
                    "verify",
                    WRONG / "source.pt",
                    WRONG / "unreordered_gates.keras",
                    "--fix",
                    made / "port.keras",
                ],
            ),
            (
                "The gates of the untouched PyTorch model, over time",
                0,
                ["trace", TWO_LAYER, "--out", made / "gates.npz"],
            ),
            (
                "A cell that somebody wrote by hand, by the description of its layout",
                0,
                ["convert", OWN_CELL, made / "own.onnx", "--layout", "concat-xh"],
            ),
            (
                "The same function, and what its own code recorded?",
                0,
                [
                    "verify",
                    OWN_CELL,
                    made / "own.onnx",
                    "--layout",
                    "concat-xh",
                    "--example",
                    OWN_CELL.with_suffix(".npz"),
                ],
            ),
        )
        ended = [step(number, *what, hide=folder) for number, what in enumerate(steps, start=1)]
    print(f"\n{sum(ended)} of {len(ended)} steps ended as they should.")
    return 0 if all(ended) else 1


def step(number: int, title: str, expected: int, arguments: list[str | Path], *, hide: str) -> bool:
    """Run one command of the demonstration and return whether its exit code is `expected`."""
    paths = [str(argument) for argument in arguments]
    shown = shlex.join(
        path.replace(f"{hide}{os.sep}", "").replace(f"{SAMPLES}{os.sep}", "samples/") for path in paths
    )
    print(f"\n[{number}] {title}\n$ grubridge {shown}", flush=True)
    command = Path(sys.executable).with_name("grubridge")
    done = subprocess.run(
        [str(command), *paths], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    print(done.stdout.replace(f"{hide}{os.sep}", "").replace(f"{SAMPLES}{os.sep}", "samples/"), end="")
    if done.returncode != expected:
        print(f"this step should have ended with exit code {expected}; it ended with {done.returncode}")
    return done.returncode == expected


if __name__ == "__main__":
    sys.exit(main())
