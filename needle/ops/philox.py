"""Counter-based random numbers in NumPy: the reference for `cl/random.cl`, bit for bit.

The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3",
SC11). Its key is the 64-bit seed, low word first; its counter is the number of a block, in the two low words,
the other two being 0. A block holds four 32-bit words. Block `offset + i // n` gives number `i`, the
`i % n`-th of the block's n = 4 numbers, or n = 2 of float64. So a number depends on the seed, the offset and
its position alone.

Everything after the integers uses only operations that IEEE 754 rounds in one way (+, -, * and, in float64,
/ and the square root), one at a time and never contracted, in the order in which the kernel has them: that is
what makes normal numbers the same on every device.
"""

from __future__ import annotations

from math import ceil, pi, prod
from typing import Any

import numpy as np

from needle.dtypes import DType, Shape, float64, significant_bits

Array = np.ndarray[Any, Any]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF

# ln(1 + x) = x - x^2/2 + x^3 P(x) for sqrt(1/2) - 1 <= x < sqrt(2) - 1, in float32 (Cephes).
_LOG = (
    0.0703768358, -0.115146101, 0.116769984, -0.124201410, 0.142493233,
    -0.166680574, 0.200007141, -0.249999940, 0.333333313,
)  # fmt: skip
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194442e-4
# sin x = x + x^3 P(x^2) and cos x = 1 - x^2/2 + x^4 Q(x^2) for |x| <= pi/4, in float32 (Cephes).
_SIN = (-1.95152956e-4, 8.33216030e-3, -0.166666552)
_COS = (2.44331568e-5, -1.38873165e-3, 4.16666456e-2)

# The same in float64 (fdlibm).
_LOG_64 = (
    1.479819860511658591e-1, 1.531383769920937332e-1, 1.818357216161805012e-1, 2.222219843214978396e-1,
    2.857142874366239149e-1, 3.999999999940941908e-1, 6.666666666666735130e-1,
)  # fmt: skip
_LN2_HIGH_64, _LN2_LOW_64 = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_SIN_64 = (
    1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06,
    -1.98412698298579493134e-04, 8.33333333332248946124e-03, -1.66666666666666324348e-01,
)  # fmt: skip
_COS_64 = (
    -1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07,
    2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02,
)  # fmt: skip


def blocks_for(size: int, dtype: DType) -> int:
    """The blocks that `size` numbers of `dtype` take: by so much the offset of the next ones is higher."""
    return ceil(size / (2 if dtype == float64 else 4))


def words(blocks: int, seed: int, offset: int) -> Array:
    """The four words of `blocks` blocks from number `offset` on, as uint64 of shape (blocks, 4)."""
    with np.errstate(over="ignore"):
        number = np.arange(blocks, dtype=np.uint64) + np.uint64(offset)
    mask, shift = np.uint64(_MASK), np.uint64(32)
    c0, c1, c2, c3 = number & mask, number >> shift, np.zeros_like(number), np.zeros_like(number)
    k0, k1 = seed & _MASK, seed >> 32
    for _ in range(10):
        a, b = np.uint64(_MULTIPLIERS[0]) * c0, np.uint64(_MULTIPLIERS[1]) * c2
        c0, c1, c2, c3 = (b >> shift) ^ c1 ^ np.uint64(k0), b & mask, (a >> shift) ^ c3 ^ np.uint64(k1), a & mask
        k0, k1 = (k0 + _KEY_STEPS[0]) & _MASK, (k1 + _KEY_STEPS[1]) & _MASK
    return np.stack((c0, c1, c2, c3), axis=1)


def _doubled(block: Array) -> Array:
    """Pairs of words as 64-bit integers, the first word the low half: shape (blocks, 2)."""
    return block[:, 0::2] | block[:, 1::2] << np.uint64(32)


def uniform(*, shape: Shape, dtype: DType, seed: int, offset: int, low: float, high: float, last: float) -> Array:
    """Uniform numbers from `low` up to `high`, none above `last`: where the shift would round so high."""
    size = prod(shape)
    block = words(blocks_for(size, dtype), seed, offset)
    if dtype == float64:
        unit = (_doubled(block) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    else:
        bits = significant_bits(dtype)
        unit = (block >> np.uint64(32 - bits)).astype(np.float32) * np.float32(2.0**-bits)
    real = unit.dtype.type
    value = unit.reshape(-1)[:size] * (real(high) - real(low))
    value = value + real(low)
    return np.minimum(value, real(last)).astype(dtype).reshape(shape)


def normal(*, shape: Shape, dtype: DType, seed: int, offset: int, mean: float, std: float) -> Array:
    """Normal numbers by the transform of Box and Muller."""
    size = prod(shape)
    block = words(blocks_for(size, dtype), seed, offset)
    if dtype == float64:
        pair = _doubled(block)
        cos, sin = _direction_64(pair[:, 1::2])
        radius = np.sqrt(_minus_two_log_64(pair[:, 0::2]))
    else:
        cos, sin = _direction(block[:, 1::2])
        radius = _square_root(_minus_two_log(block[:, 0::2]))
    value = np.stack((radius * cos, radius * sin), axis=-1).reshape(-1)[:size]
    value = value * value.dtype.type(std)
    value = value + value.dtype.type(mean)
    return value.astype(dtype).reshape(shape)


def bernoulli(*, shape: Shape, seed: int, offset: int, threshold: int) -> Array:
    """True where a word is below `threshold`."""
    size = prod(shape)
    block = words(ceil(size / 4), seed, offset)
    return (block.reshape(-1)[:size] < np.uint64(threshold)).reshape(shape)


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    """The polynomial in x, highest power first; each operation rounds by itself."""
    total = x * x.dtype.type(coefficients[0]) + x.dtype.type(coefficients[1])
    for coefficient in coefficients[2:]:
        total = total * x
        total = total + x.dtype.type(coefficient)
    return total


def _split(word: Array, size: int, real: Any, bits: Any) -> tuple[Array, Array]:
    """(x, e) with word / 2^size, rounded to the type `real`, = (1 + x) 2^e and sqrt(1/2) < 1 + x <= sqrt(2).

    `bits` is the unsigned type of as many bytes as `real`.
    """
    digits = np.finfo(real).nmant  # bits of the mantissa that are stored
    rest = size - digits - 1
    word = np.maximum(word, np.uint64(1))
    whole = (word >> np.uint64(rest)).astype(np.int64).astype(real) * real(1 << rest)
    whole = whole + (word & np.uint64((1 << rest) - 1)).astype(np.int64).astype(real)
    pattern = whole.view(bits)
    bias = np.finfo(real).maxexp - 1
    mantissa = (pattern & bits((1 << digits) - 1) | bits(bias << digits)).view(real)
    large = mantissa > real(2**0.5)
    mantissa = np.where(large, mantissa * real(0.5), mantissa)
    exponent = (pattern >> bits(digits)).astype(np.int64) - bias - size + large
    return mantissa - real(1), exponent.astype(real)


def _minus_two_log(word: Array) -> Array:
    """-2 ln(word / 2^32) in float32."""
    x, e = _split(word, 32, np.float32, np.uint32)
    square = x * x
    y = _horner(x, _LOG)
    y = y * x
    y = y * square
    y = y + e * np.float32(_LN2_LOW)
    y = y - square * np.float32(0.5)
    y = x + y
    y = y + e * np.float32(_LN2_HIGH)
    return y * np.float32(-2)


def _square_root(a: Array) -> Array:
    """sqrt(a) in float32, by Newton's iteration for 1/sqrt(a) from a guess at its bits."""
    y = (np.uint32(0x5F375A86) - (a.view(np.uint32) >> np.uint32(1))).view(np.float32)
    half = a * np.float32(0.5)
    for _ in range(3):
        t = half * y
        t = t * y
        t = np.float32(1.5) - t
        y = y * t
    return a * y


def _quadrant(word: Array, size: int, bits: int) -> tuple[Array, Array]:
    """The angle 2 pi word / 2^size as a quadrant, 0 to 3, and an odd numerator over 2^bits within it."""
    quadrant = (word >> np.uint64(size - 2)).astype(np.int64)
    within = word << np.uint64(66 - size)  # what lies below the quadrant, at the top of 64 bits
    return quadrant, 2 * (within.view(np.int64) >> np.int64(64 - bits)) + 1


def _turned(quadrant: Array, cos: Array, sin: Array) -> tuple[Array, Array]:
    """(cos, sin) turned by so many right angles."""
    odd = quadrant & 1 != 0
    x, y = np.where(odd, sin, cos), np.where(odd, cos, sin)
    return np.where((quadrant + 1) & 2 != 0, -x, x), np.where(quadrant & 2 != 0, -y, y)


def _direction(word: Array) -> tuple[Array, Array]:
    """Cosine and sine of an angle uniform in the circle, in float32."""
    quadrant, numerator = _quadrant(word, 32, 24)
    x = numerator.astype(np.float32) * np.float32(pi / 4 * 2.0**-24)
    square = x * x
    sin = _horner(square, _SIN) * square
    sin = sin * x
    sin = sin + x
    cos = _horner(square, _COS) * square
    cos = cos * square
    cos = cos - square * np.float32(0.5)
    cos = cos + np.float32(1)
    return _turned(quadrant, cos, sin)


def _minus_two_log_64(word: Array) -> Array:
    """-2 ln(word / 2^64) in float64."""
    x, e = _split(word, 64, np.float64, np.uint64)
    s = x / (x + 2.0)
    z = s * s
    r = _horner(z, _LOG_64) * z
    half = x * 0.5
    half = half * x
    t = half + r
    t = s * t
    t = t + e * _LN2_LOW_64
    t = half - t
    t = t - x
    return (e * _LN2_HIGH_64 - t) * -2.0


def _direction_64(word: Array) -> tuple[Array, Array]:
    """Cosine and sine of an angle uniform in the circle, in float64."""
    quadrant, numerator = _quadrant(word, 64, 53)
    x = numerator.astype(np.float64) * (pi / 4 * 2.0**-53)
    square = x * x
    sin = _horner(square, _SIN_64) * square
    sin = sin * x
    sin = sin + x
    cos = _horner(square, _COS_64) * square
    cos = cos * square
    cos = cos - square * 0.5
    cos = cos + 1.0
    return _turned(quadrant, cos, sin)
