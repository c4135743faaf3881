"""Example inputs for transformers models, from their configuration and the names of their arguments."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from initadvisor.frontends.torch_module.inputs import documented
from initadvisor.frontends.torch_module.inputs.trial import NO_GUESS, Trial, floats, tokens

LENGTH = 16
"""Tokens in an example sequence."""

BATCH = 2

_LEADS = ("input_ids", "pixel_values", "input_values", "input_features", "pixel_values_videos", "past_values")
_COMPANIONS = {
    "input_ids": ("decoder_input_ids", "pixel_values", "bbox", "input_features", "input_values"),
    "input_features": ("decoder_input_ids", "input_ids"),
    "input_values": ("decoder_input_ids", "input_ids"),
    "pixel_values": ("input_ids", "decoder_input_ids", "bool_masked_pos"),
    "past_values": ("past_time_features", "past_observed_mask", "future_values", "future_time_features"),
}
"""Optional arguments without which a part of the model would not run."""


def is_model(module: nn.Module) -> bool:
    """Whether a module is built on a transformers configuration."""
    return hasattr(module, "main_input_name") and hasattr(getattr(module, "config", None), "to_dict")


def trials(module: nn.Module) -> Iterator[Trial]:
    """Yield inputs for a transformers model; nothing for any other module."""
    if not is_model(module):
        return
    maker = Maker(module)
    if "MultipleChoice" in type(module).__name__:  # often documented as if it took single sequences
        ids = maker.ids()[:, None].repeat(1, 2, 1)
        yield Trial((), {"input_ids": ids}, "transformers", "two choices for every sequence")
    needed = maker.required()
    main = str(module.main_input_name)
    leads = [main] if main in maker.arguments else [n for n in _LEADS if n in maker.arguments][:1]
    base = list(dict.fromkeys([*leads, *needed]))
    if maker.takes_grid():
        base += [n for n in ("image_grid_thw",) if n in maker.arguments and n not in base]
    companions = [n for n in _COMPANIONS.get(main, ()) if n in maker.arguments and n not in base]
    cache = {"use_cache": False} if "use_cache" in maker.arguments else {}
    for names in ([*base, *companions], base, *([*base, c] for c in companions)):
        with contextlib.suppress(*NO_GUESS):
            values = {n: maker.value(n) for n in names}
            yield Trial((), {**values, **cache}, "transformers", str(module.config.model_type))
    with contextlib.suppress(*NO_GUESS):
        values = {n: maker.value(n) for n in base}
        told = {n: documented.agreed(v, maker.documented[n]) for n, v in values.items() if n in maker.documented}
        told = {n: t for n, t in told.items() if t.shape != values[n].shape}
        if told:
            yield Trial((), {**values, **told, **cache}, "transformers", "shapes from the documentation")
    with contextlib.suppress(*NO_GUESS):
        dummy = {k: v for k, v in module.dummy_inputs.items() if k in maker.arguments}
        if dummy:
            yield Trial((), dummy, "transformers", "dummy_inputs")


class Maker:
    """Makes a value for any argument of one model."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.config = module.config
        self.arguments = inspect.signature(module.forward).parameters
        self.batch, self.length = BATCH, LENGTH
        self._configs = _parts(self.config)
        self.documented = documented.tensors(self)

    def required(self) -> list[str]:
        """The arguments that have no default."""
        kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return [n for n, p in self.arguments.items() if p.default is p.empty and p.kind not in kinds]

    def find(self, *names: str, part: str = "", default: Any = None) -> Any:
        """The first of these settings in the configuration, parts whose name holds `part` first."""
        ordered = sorted(self._configs, key=lambda item: not (part and part in item[0]))
        for _, config in ordered:
            for name in names:
                value = getattr(config, name, None)
                if value is not None and not isinstance(value, bool | str):
                    return value
        return default

    def value(self, name: str) -> Any:
        """An example of one argument."""
        rule = _RULES.get(name)
        if rule is not None:
            return rule(self)
        for ending, make in _ENDINGS:
            if name.endswith(ending):
                return make(self)
        if name in self.documented:
            return self.documented[name]
        hint = str(self.arguments[name].annotation) if name in self.arguments else ""
        if "BoolTensor" in hint:
            return torch.ones(BATCH, LENGTH, dtype=torch.bool)
        if "LongTensor" in hint or "IntTensor" in hint:
            return tokens(BATCH, LENGTH, high=2)
        return floats(BATCH, LENGTH, self.find("hidden_size", "d_model", "embed_dim", default=16))

    def vocabulary(self, part: str = "") -> int:
        """Tokens that may be used: the vocabulary, special tokens at its ends left out where that is possible."""
        size = self.find("vocab_size", "num_embeddings", "n_vocab", part=part or "text", default=0)
        table = next((m.num_embeddings for m in self.module.modules() if isinstance(m, nn.Embedding)), 100)
        return int(size) if isinstance(size, int) and size > 0 else int(table)

    def ids(self, part: str = "") -> torch.Tensor:
        """Token ids that are no special tokens, the last one the end of the sequence where there is such a token."""
        high = self.vocabulary(part)
        special = {
            v for _, c in self._configs for k, v in vars(c).items() if k.endswith("token_id") and isinstance(v, int)
        }
        special |= {
            v for _, c in self._configs for k, v in vars(c).items() if k.endswith("token_index") and isinstance(v, int)
        }
        usable = [i for i in range(min(high, 300)) if i not in special] or [0]
        flat = torch.tensor([usable[(7 * i + 5) % len(usable)] for i in range(BATCH * LENGTH)])
        ids = flat.reshape(BATCH, LENGTH)
        end = self.find("eos_token_id")
        if isinstance(end, int) and 0 <= end < high:
            ids[:, -1] = end
        return ids

    def placeholder(self, kind: str) -> int | None:
        """The token that stands for a piece of an image, clip or sound in the text."""
        for _, config in self._configs:
            for name in (f"{kind}_token_id", f"{kind}_token_index", f"{kind}_placeholder_token_id", f"boi_{kind}_id"):
                value = getattr(config, name, None)
                if isinstance(value, int):
                    return value
        return None

    def patches(self) -> torch.Tensor:
        """Images as flat patches, for models that take a grid of them (`image_grid_thw`)."""
        patch = self.find("patch_size", part="vision", default=14)
        channels = self.find("in_channels", "in_chans", "num_channels", part="vision", default=3)
        depth = self.find("temporal_patch_size", part="vision", default=1)
        return floats(self.grid_patches(), int(channels) * int(depth) * int(patch) ** 2)

    def takes_grid(self) -> bool:
        """Whether images come as flat patches with a grid that says their layout."""
        return any(n in self.arguments for n in ("image_grid_thw", "grid_thw"))

    def grid_patches(self) -> int:
        """Patches in the grids of all images."""
        return int(_grid(self).prod(-1).sum())

    def image_size(self) -> tuple[int, int]:
        """Height and width of an image."""
        names = ("image_size", "img_size", "input_size", "input_image_size", "max_img_size")
        size = self.find(*names, part="vision", default=224)
        if isinstance(size, dict):
            size = (size.get("height", 224), size.get("width", 224))
        if isinstance(size, int | float):
            size = (int(size), int(size))
        return int(size[0]), int(size[-1])

    def pixels(self) -> torch.Tensor:
        """Images, or clips for a model that is configured with a number of frames."""
        if self.takes_grid():
            return self.patches()
        if "spatial_shapes" in self.arguments or "pixel_position_ids" in self.arguments:
            return floats(BATCH, LENGTH, self.patches().shape[1])
        channels = self.find("num_channels", "in_channels", "in_chans", "num_input_channels", part="vision", default=3)
        channels = channels if isinstance(channels, int) else 3
        frames = self.find("num_frames", part="vision")
        video = "video" in type(self.module).__name__.lower() or self.find("tubelet_size") is not None
        if isinstance(frames, int) and (video or self.find("num_frames") is not None):
            return floats(BATCH, frames, channels, *self.image_size())
        return floats(BATCH, channels, *self.image_size())

    def features(self) -> torch.Tensor:
        """Log-mel features of speech."""
        bins = self.find("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim", "n_mels", default=80)
        length = self.find("max_source_positions", part="audio")
        if "whisper" in str(self.config.model_type) or (isinstance(length, int) and length == 1500):
            return floats(BATCH, int(bins), 2 * int(length or 1500))
        return floats(BATCH, 100, int(bins))

    def waveform(self) -> torch.Tensor:
        """Raw audio, or a spectrogram for models configured with `max_length` and mel bins."""
        bins, length = self.find("num_mel_bins"), self.find("max_length", "max_time_bins")
        if isinstance(bins, int) and isinstance(length, int) and self.find("patch_size") is not None:
            return floats(BATCH, length, bins)
        return floats(BATCH, 16000)

    def window(self) -> int:
        """Past steps of a time series model, lags included."""
        length = self.find("context_length", "prediction_length", default=32)
        lags = self.find("lags_sequence", default=[0])
        return int(length) + (max(lags) if isinstance(lags, list | tuple) and lags else 0)

    def series(self, length: int, *sizes: str) -> torch.Tensor:
        """A stretch of a time series with the first of these settings as its width; one number needs no axis."""
        width = int(self.find(*sizes, default=1))
        alone = width == 1 and self.find("num_input_channels") is None
        return floats(BATCH, length) if alone else floats(BATCH, length, width)


_RULES: dict[str, Callable[[Maker], Any]] = {
    "pixel_values": Maker.pixels,
    "prompt_pixel_values": Maker.pixels,
    "pixel_values_videos": lambda m: m.pixels() if m.pixels().dim() == 5 else floats(BATCH, 8, *m.pixels().shape[1:]),
    "bool_masked_pos": lambda m: torch.arange(BATCH * _patches(m)).reshape(BATCH, -1) % 2 == 0,
    "input_features": Maker.features,
    "input_values": Maker.waveform,
    "bbox": lambda m: torch.tensor([1, 2, 3, 4]).expand(BATCH, LENGTH, 4).contiguous(),
    "decoder_input_ids": lambda m: m.ids("decoder"),
    "inputs_embeds": lambda m: floats(BATCH, LENGTH, int(m.find("hidden_size", "d_model", default=16))),
    "past_values": lambda m: m.series(m.window(), "num_input_channels", "input_size"),
    "future_values": lambda m: m.series(
        int(m.find("prediction_length", default=32)), "num_input_channels", "input_size"
    ),
    "past_time_features": lambda m: floats(BATCH, m.window(), int(m.find("num_time_features", default=1))),
    "future_time_features": lambda m: floats(
        BATCH, int(m.find("prediction_length", default=32)), int(m.find("num_time_features", default=1))
    ),
    "past_values_padding": lambda m: torch.zeros_like(m.value("past_values"), dtype=torch.long, device="cpu"),
    "freq": lambda m: torch.zeros(BATCH, 1, dtype=torch.long),
    "past_observed_mask": lambda m: m.series(m.window(), "num_input_channels", "input_size"),
    "static_categorical_features": lambda m: tokens(BATCH, int(m.find("num_static_categorical_features", default=1))),
    "states": lambda m: floats(BATCH, LENGTH, int(m.find("state_dim", default=17))),
    "actions": lambda m: floats(BATCH, LENGTH, int(m.find("act_dim", default=4))),
    "rewards": lambda m: floats(BATCH, LENGTH, 1),
    "returns_to_go": lambda m: floats(BATCH, LENGTH, 1),
    "timesteps": lambda m: tokens(BATCH, LENGTH, high=LENGTH),
    "hidden_states": lambda m: (
        m.patches() if m.takes_grid() else floats(BATCH, LENGTH, int(m.find("hidden_size", "d_model", default=16)))
    ),
    "image_grid_thw": lambda m: _grid(m),
    "grid_thw": lambda m: _grid(m),
    "video_grid_thw": lambda m: _grid(m),
    "pixel_position_ids": lambda m: (
        torch.stack(torch.meshgrid(torch.arange(4), torch.arange(LENGTH // 4), indexing="ij"), -1)
        .reshape(1, LENGTH, 2)
        .repeat(BATCH, 1, 1)
    ),
    "image_attention_mask": lambda m: torch.ones(BATCH, LENGTH, 1, dtype=torch.long),
    "image_sizes": lambda m: torch.tensor([m.image_size()] * BATCH),
    "spatial_shapes": lambda m: torch.tensor([[4, 4]] * BATCH),
    "target_sizes": lambda m: torch.tensor([_patch_rows(m)] * BATCH),
    "position_ids": lambda m: torch.arange(LENGTH).expand(BATCH, LENGTH).contiguous(),
    "return_dict": lambda m: True,
}

_ENDINGS: tuple[tuple[str, Callable[[Maker], Any]], ...] = (
    ("input_ids", Maker.ids),
    ("_ids", lambda m: tokens(BATCH, LENGTH, high=2)),
    ("attention_mask", lambda m: torch.ones(BATCH, LENGTH, dtype=torch.long)),
    ("_mask", lambda m: torch.ones(BATCH, LENGTH, dtype=torch.bool)),
    ("labels", Maker.ids),
    ("pixel_values", Maker.pixels),
    ("input_features", Maker.features),
    ("input_values", Maker.waveform),
)


def _patches(maker: Maker) -> int:
    frames = maker.find("num_frames", default=1)
    tube = maker.find("tubelet_size", default=1)
    rows, columns = _patch_rows(maker)
    return rows * columns * (frames // tube if isinstance(frames, int) else 1)


def _patch_rows(maker: Maker) -> tuple[int, int]:
    """Rows and columns of patches in one image."""
    size = maker.find("patch_size", part="vision", default=16)
    height, width = maker.image_size()
    side = size if isinstance(size, int) else int(size[-1])
    return max(height // side, 1), max(width // side, 1)


def _grid(maker: Maker) -> torch.Tensor:
    """(frames, rows, columns) of patches, one image for every sequence."""
    return torch.tensor([[1, 8, 8]] * BATCH)


def _parts(config: Any, name: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """A configuration and the configurations inside it, by name."""
    found = [(name, config)]
    if depth < 3:
        for key, value in vars(config).items():
            if hasattr(value, "to_dict") and hasattr(value, "model_type"):
                found += _parts(value, key, depth + 1)
    return found
