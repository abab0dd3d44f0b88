"""Are these files the same function? Opened, paired, run in their own frameworks, compared."""

from .verifying import verify, verify_conversion

__all__ = ["verify", "verify_conversion"]
