"""Roles that come from the place in the graph, never from a name."""

from __future__ import annotations

import pytest
import torch
from graphs import by_name, recorded, spans
from torch import nn
from torch.nn import functional as F


def test_stem_hidden_and_head() -> None:
    layers = by_name(
        recorded(
            nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), torch.zeros(3, 4)
        )
    )
    assert [layers[n].role for n in ("0", "2", "4")] == ["stem", "hidden", "head"]
    assert [layers[n].depth for n in ("0", "2", "4")] == [1, 2, 3]


def test_every_output_has_its_head() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            y = F.relu(self.body(x))
            return {"a": self.a(y), "b": torch.sigmoid(self.b(y))}

    layers = by_name(recorded(Two(), torch.zeros(3, 4)))
    assert (layers["a"].role, layers["b"].role) == ("head", "head")


@pytest.mark.parametrize("order", ["softmax first", "top-k first", "soft"])
def test_scores_that_choose_experts_are_a_router(order: str) -> None:
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.scores = nn.LayerNorm(8), nn.Linear(8, 4)
            self.experts, self.head = nn.ModuleList([nn.Linear(8, 8) for _ in range(4)]), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.norm(x)
            scores = self.scores(y)
            if order == "soft":
                share = scores.softmax(-1)
            elif order == "softmax first":
                best, index = scores.softmax(-1).topk(2, -1)
                share = torch.zeros_like(scores).scatter(-1, index, best)
            else:
                best, index = scores.topk(2, -1)
                share = torch.zeros_like(scores).scatter(-1, index, best.softmax(-1))
            x = x + sum(share[..., i : i + 1] * F.relu(e(y)) for i, e in enumerate(self.experts))
            return self.head(x)

    layers = by_name(recorded(Mixture(), torch.zeros(3, 8)))
    assert layers["scores"].role == "router"
    assert layers["head"].role == "head"


class Decoder(nn.Module):
    """An embedding tied to the output, learned positions, no blocks."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(50, 8), nn.Embedding(16, 8)
        self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 50, bias=False)
        if order == "head takes the table":
            self.head.weight = self.tokens.weight
        else:
            self.tokens.weight = self.head.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        return self.head(F.relu(self.body(y)))


@pytest.mark.parametrize("order", ["head takes the table", "table takes the head"])
def test_a_tied_table_is_one_embedding_with_two_uses(order: str) -> None:
    layers = by_name(recorded(Decoder(order), torch.zeros(2, 5, dtype=torch.long)))
    assert set(layers) == {"tokens", "places", "body"}
    tokens = layers["tokens"]
    assert (tokens.kind, tokens.role, tokens.tied_to, tokens.depth) == ("embedding", "token", ("head",), 1)
    assert (tokens.attrs["tied_fan_in"], tokens.attrs["tied_fan_out"]) == (8, 50)
    assert layers["places"].role == "position"


def test_learned_positions_and_class_tokens_are_tables() -> None:
    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 2)
            self.token, self.place = nn.Parameter(torch.zeros(1, 1, 8)), nn.Parameter(torch.zeros(1, 5, 8))
            self.shift = nn.Parameter(torch.zeros(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.patch(x).flatten(2).transpose(1, 2)
            y = torch.cat((self.token.expand(len(x), -1, -1), y), 1) + self.place
            return self.head(torch.tanh(y + self.shift)[:, 0])

    layers = by_name(recorded(Patches(), torch.zeros(2, 3, 8, 8)))
    assert (layers["token"].kind, layers["token"].role) == ("table", "token")
    assert (layers["place"].kind, layers["place"].role) == ("table", "position")
    assert (layers["shift"].kind, layers["shift"].role) == ("table", "bias")
    assert (layers["patch"].role, layers["patch"].fan_in) == ("stem", 48)


GATES = {nn.LSTM: ("input", "forget", "cell", "output"), nn.GRU: ("reset", "update", "new")}


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gates_of_recurrent_layers(kind: type[nn.RNNBase], bidirectional: bool) -> None:
    model = nn.Sequential()
    model.add_module("rnn", kind(6, 10, 2, bidirectional=bidirectional, batch_first=True))
    layers = by_name(recorded(model, torch.zeros(2, 4, 6)))
    wide = 20 if bidirectional else 10
    assert len(layers) == (8 if bidirectional else 4)
    for level, fan in ((0, 6), (1, wide)):
        into, hidden = layers[f"rnn.weight_ih_l{level}"], layers[f"rnn.weight_hh_l{level}"]
        assert (into.role, hidden.role) == ("recurrent_input", "recurrent_hidden")
        assert (into.fan_in, into.fan_out, hidden.fan_in) == (fan, 10, 10)
        assert spans(hidden) == [(g, i * 10, i * 10 + 10) for i, g in enumerate(GATES[kind])]
        assert (into.bias, hidden.bias) == (f"rnn.bias_ih_l{level}", f"rnn.bias_hh_l{level}")
        assert into.depth == level + 1


def test_projected_lstm_and_plain_rnn() -> None:
    layers = by_name(recorded(nn.LSTM(6, 10, proj_size=4), torch.zeros(3, 2, 6)))
    assert (layers["weight_hr_l0"].role, layers["weight_hh_l0"].fan_in) == ("recurrent_projection", 4)
    plain = by_name(recorded(nn.RNN(6, 10, nonlinearity="relu"), torch.zeros(3, 2, 6)))["weight_hh_l0"]
    assert plain.activation is not None
    assert (plain.activation.name, plain.blocks) == ("relu", ())


def test_what_the_model_ends_in_and_what_it_never_uses() -> None:
    class Loose(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(4, 3), nn.Linear(5, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x).softmax(-1)

    graph = recorded(Loose(), torch.zeros(2, 4))
    assert graph.summary["output_activation"] == "softmax"
    assert set(graph.summary["unused"]) == {"unused.weight", "unused.bias"}
    assert graph.coverage.parameters == 1.0  # of the parameters that the forward pass uses
    assert any("not used" in note for note in graph.coverage.notes)


def test_two_linear_layers_with_nothing_between_are_told() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    layers = by_name(recorded(model, torch.zeros(2, 8)))
    assert layers["0"].attrs["feeds_linear"] == "1"
    assert "feeds_linear" not in layers["1"].attrs
