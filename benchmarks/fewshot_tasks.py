"""Small image sets with classes to spare, and few-shot tasks drawn from them; nothing is downloaded.

digits: scikit-learn's 1,797 digits of 8 x 8 pixels. As is done with Omniglot, rotations by 90 degrees count as classes
    of their own: 10 digits make 40 classes. A digit is on one side of the split with all its rotations, and 6 and 9,
    which turn into each other, are on the same side.
glyphs: letters and numerals made on the spot: Pillow's built-in font, each glyph turned, sheared, scaled, moved and
    covered with noise at random, 12 x 12 pixels. Those that look alike in both cases are there once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits

WAYS, SIDE = 5, 12
GLYPHS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghijmnqrty23456789"
DRAWN = 60
"""Images of each glyph."""


@dataclass(frozen=True)
class Images:
    """Images by group and variant: `groups[g][v]` is (samples, 1, side, side).

    A group is what is on one side of a split (a digit, a letter); its variants (rotations) are classes of their own.
    """

    groups: list[list[torch.Tensor]]
    together: tuple[tuple[int, ...], ...] = ()

    def split(self, seed: int, novel: int) -> tuple[list[int], list[int]]:
        """Groups to learn from and `novel` ones to be tested on."""
        order = np.random.default_rng(seed).permutation(len(self.groups)).tolist()
        units = [unit for g in order if (unit := next((t for t in self.together if g in t), (g,)))[0] == g]
        test: list[int] = []
        for unit in units:
            if len(test) + len(unit) <= novel:
                test += unit
        return [g for g in order if g not in test], test


def digits() -> Images:
    """Digits with their rotations, standardised as a whole."""
    data, draws = load_digits(), np.random.default_rng(0)
    moved = np.zeros((len(data.images), SIDE, SIDE), dtype=np.float32)
    for canvas, image, (top, left) in zip(moved, data.images, draws.integers(0, 5, (len(moved), 2)), strict=True):
        canvas[top : top + 8, left : left + 8] = image
    x = torch.from_numpy((moved - moved.mean()) / moved.std())[:, None]
    y = torch.tensor(data.target)
    groups = [[torch.rot90(x[y == d], turns, (2, 3)) for turns in range(4)] for d in range(10)]
    return Images(groups, together=((6, 9),))


def glyphs(side: int = SIDE) -> Images:
    """Distorted glyphs of one font; the same ones at every call."""
    from PIL import Image, ImageDraw, ImageFont

    draws = np.random.default_rng(0)
    font = ImageFont.load_default(size=40)
    groups = []
    for glyph in GLYPHS:
        plain = Image.new("L", (64, 64), 0)
        ImageDraw.Draw(plain).text((32, 32), glyph, fill=255, font=font, anchor="mm")
        made = []
        for _ in range(DRAWN):
            angle, shear = draws.uniform(-0.4, 0.4), draws.uniform(-0.3, 0.3)
            scale = 1.0 / draws.uniform(0.75, 1.1, size=2)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            matrix = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag(scale)
            offset = 32 - matrix @ (np.array([32, 32]) + draws.uniform(-6, 6, size=2))
            terms = (*matrix[0], offset[0], *matrix[1], offset[1])
            bent = plain.transform((64, 64), Image.Transform.AFFINE, terms, Image.Resampling.BILINEAR)
            small = np.asarray(bent.resize((side, side), Image.Resampling.BOX), dtype=np.float32) / 255
            made.append(small + draws.normal(0, 0.1, small.shape).astype(np.float32))
        groups.append(np.stack(made))
    x = np.stack(groups)
    x = (x - x.mean()) / x.std()
    return Images([[torch.from_numpy(each)[:, None]] for each in x])


def task(
    images: Images,
    groups: list[int],
    part: slice,
    shots: int,
    queries: int,
    generator: torch.Generator,
    apart: bool = True,
) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """A task of `WAYS` classes in random order, from a part of each class's samples.

    apart: each class of another group. A 0 upside down is a 0, so that rotations of one digit cannot always be told
    apart; to learn from such tasks does no harm.
    """
    classes = [(group, variant) for group in groups for variant in range(len(images.groups[group]))]
    if apart:
        classes = [(group, int(torch.randint(len(images.groups[group]), (), generator=generator))) for group in groups]
    support, query = [], []
    for place in torch.randperm(len(classes), generator=generator)[:WAYS].tolist():
        group, variant = classes[place]
        x = images.groups[group][variant][part]
        pick = torch.randperm(len(x), generator=generator)[: shots + queries]
        support.append(x[pick[:shots]])
        query.append(x[pick[shots:]])
    labels = torch.arange(WAYS)
    return (
        (torch.cat(support), labels.repeat_interleave(shots)),
        (torch.cat(query), labels.repeat_interleave(queries)),
    )
