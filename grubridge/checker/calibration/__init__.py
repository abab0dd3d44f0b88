"""How well a runtime evaluates its activation functions, measured inside its own GRU."""

from .calibration import Calibration, Constants

__all__ = ["Calibration", "Constants"]
