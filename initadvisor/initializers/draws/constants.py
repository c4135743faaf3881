"""The numbers that define the transforms from random words to deviates.

Every draw is built from IEEE-754 additions, multiplications, divisions, square roots and bit operations in float32,
each rounded once and in a fixed order, so that numpy, torch on the CPU and torch on a GPU give the same bits. No
library logarithm or sine is called: their last bits differ between libraries and processors. The polynomials are
minimax fits made for this package; the error of each is far below what 2^24 steps of a uniform can show.
"""

from __future__ import annotations

PAIRS = 1 << 15
"""Box-Muller pairs in a block: element i < PAIRS of a block takes the cosine of pair i, element PAIRS + i its sine."""

UNIFORM_SHIFT = 7
UNIFORM_STEP = 2.0**-24
"""A word's upper 25 bits, made odd, times this: 2^24 values, symmetric about 0, inside (-1, 1), exact in float32."""

WORD_STEP = 2.0**-32
"""The radius comes from an odd word times this, a float32 in (0, 1]."""

ANGLE_SHIFT = 8
"""The angle is pi times a word's upper 24 bits (signed, times UNIFORM_STEP: [-1/2, 1/2))."""

SQRT_HALF_BITS = 0x3F3504F3
MANTISSA_MASK = 0x007FFFFF
EXPONENT_SHIFT = 23
"""A positive float f is m 2^e with m in [sqrt(1/2), sqrt(2)): (bits - SQRT_HALF_BITS) >> 23 is e."""

MINUS_2_LN2 = -1.3862943649291992
"""-2 ln 2, rounded to float32."""

LOG_SERIES = (-4.000001674074764, -1.3328815610470823, -0.8303541148245405)
"""-2 ln m = s P(s^2), s = (m - 1)/(m + 1), absolute error 4e-8."""

SINE_SERIES = (3.14159258004487, -5.167706878932569, 2.550031377360145, -0.5980451745175193, 0.07722012962165012)
"""sin(pi x) = x P(x^2) for abs(x) <= 1/2, error 3e-9."""

COSINE_SERIES = (0.9999999534931043, -4.934792860089148, 4.058411934561483, -1.331880270144385, 0.2196969923583736)
"""cos(pi x) = P(x^2) for abs(x) <= 1/2, error 5e-8."""

QUANTILE_CENTRE = 3.125
QUANTILE_LIMIT = 6.25
QUANTILE_CUT = 3.0
QUANTILE_SERIES = (
    2.3386216562286433,
    0.3396367832814384,
    -0.008536428178129003,
    -0.0010501705905381407,
    0.00026622419980113713,
    -1.862166386039926e-05,
    -2.390461238061329e-06,
    4.6030805456371684e-07,
)
"""sqrt(2) erfinv(y) = y P(v - 3.125), v = -ln(1 - y^2) <= 6.25 (abs(z) <= 3.09), relative error 5e-7."""

TAIL_CENTRE = 3.3
TAIL_SERIES = (
    4.432373559376594,
    1.422360729200132,
    0.006853810930429958,
    -0.004509451777322473,
    0.002960538798299103,
    -0.0024861203878464473,
    0.0012095715921662136,
)
"""The same beyond, y P(sqrt(v) - 3.3), relative error 3e-7."""
