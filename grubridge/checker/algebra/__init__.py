"""What the numbers of two files prove, for every input and without a run."""

from .permutation import UnitPermutation
from .proof import Proof, TensorDifference, prove

__all__ = ["Proof", "TensorDifference", "UnitPermutation", "prove"]
