"""CRC-32 of a whole from the CRC-32 of its parts, so that parts can be summed in parallel.

Appending n zero bytes to a message multiplies its CRC, a polynomial over GF(2), by x^(8n); the CRC of
A|B is crc(A) * x^(8 len(B)) + crc(B). Polynomials are kept in CRC-32's reflected bit order.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["combine"]

_POLYNOMIAL = 0xEDB88320
_ONE = 0x80000000  # the polynomial 1: reflected, so the highest bit


def combine(first: int, second: int, second_length: int) -> int:
    """Return the CRC-32 of A|B from those of A and B and the length of B in bytes."""
    return _multiply(first, _power_of_x(8 * second_length)) ^ second


def _multiply(a: int, b: int) -> int:
    """Return a*b modulo the CRC polynomial."""
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@lru_cache(maxsize=256)
def _power_of_x(exponent: int) -> int:
    """Return x^exponent modulo the CRC polynomial, by repeated squaring."""
    result, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            result = _multiply(result, square)
        square = _multiply(square, square)
        exponent >>= 1
    return result
