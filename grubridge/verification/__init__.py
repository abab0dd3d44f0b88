"""Are these files the same function? Opened, paired, run in their own frameworks, compared."""

from .verifying import verify, verify_conversion
from .weights import compare_weights

__all__ = ["compare_weights", "verify", "verify_conversion"]
