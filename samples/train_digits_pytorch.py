"""Train and export the PyTorch digits classifier: python -m samples.train_digits_pytorch [FOLDER]."""

import sys
from pathlib import Path
from typing import cast

import torch

from samples.data import accuracy, digits

SEED = 13
HIDDEN = 16


class DigitsClassifier(torch.nn.Module):
    """A GRU over the 8 rows of an image and a linear head on its last hidden state."""

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.gru = torch.nn.GRU(8, HIDDEN, num_layers, batch_first=True)
        self.head = torch.nn.Linear(HIDDEN, 10)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return logits [B, 10] of images [B, 8, 8]."""
        hidden, _ = self.gru(rows)
        logits: torch.Tensor = self.head(hidden[:, -1])
        return logits


def train(num_layers: int, seed: int) -> DigitsClassifier:
    """Return a classifier trained on the digits, in evaluation mode."""
    torch.set_num_threads(1)  # more threads would add up gradients in an order that varies
    torch.manual_seed(seed)
    model = DigitsClassifier(num_layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    task = digits()
    x, y = torch.from_numpy(task.train_x), torch.from_numpy(task.train_y)
    loss = torch.nn.CrossEntropyLoss()
    for _ in range(20):
        for batch in torch.split(torch.randperm(len(x)), 64):
            optimizer.zero_grad()
            torch.autograd.backward(loss(model(x[batch]), y[batch]))
            optimizer.step()
    return model.eval()


def score(model: DigitsClassifier) -> float:
    """Return the accuracy of a classifier on the test images."""
    task = digits()
    with torch.no_grad():
        return accuracy(model(torch.from_numpy(task.test_x)).numpy(), task.test_y)


def export(model: DigitsClassifier, path: Path) -> None:
    """Write the model as torch's default exporter does, for any batch size."""
    exported = torch.onnx.export(
        model,
        (torch.zeros(2, 8, 8),),
        input_names=["rows"],
        output_names=["logits"],
        dynamic_shapes={"rows": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    program = cast("torch.onnx.ONNXProgram", exported)  # None only with the older exporter
    for node in program.model.graph.all_nodes():
        # The exporter notes the Python stack of every node, with the folders of the machine it ran on.
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    program.save(path)


def main(folder: Path) -> None:
    """Train, save the state dict, export the same model to ONNX and print the test accuracy."""
    model = train(num_layers=2, seed=SEED)
    torch.save(model.state_dict(), folder / "digits_two_layer.pt")
    export(model, folder / "digits_two_layer.onnx")
    print(f"digits_two_layer.pt, digits_two_layer.onnx: accuracy {score(model):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
