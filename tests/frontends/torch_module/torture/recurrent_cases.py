"""Recurrent layers, scans and packed sequences."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence
from torture import case, row


def _lengths():
    return (torch.randn(3, 6, 8), torch.tensor([6, 4, 2]))


@case(row(5, 2, 8), weights={"weight_ih_l0": "lstm", "weight_hh_l1": "lstm"})
def StackedLstm():
    return nn.LSTM(8, 4, num_layers=2)


@case(row(2, 5, 8), weights={"weight_ih_l0_reverse": "gru"})
def BidirectionalGru():
    return nn.GRU(8, 4, bidirectional=True, batch_first=True)


@case(row(2, 5, 8), weights={"weight_hr_l0": "lstm"})
def ProjectedLstm():
    return nn.LSTM(8, 6, proj_size=3, batch_first=True)


@case(row(5, 2, 8), weights={"weight_hh_l0": "rnn_relu"})
def ReluRnn():
    return nn.RNN(8, 4, nonlinearity="relu")


@case(lambda: (torch.randn(5, 2, 8), (torch.randn(1, 2, 4), torch.randn(1, 2, 4))), weights={"weight_ih_l0": "lstm"})
def LstmWithState():
    return nn.LSTM(8, 4)


@case(row(5, 8), weights={"weight_ih_l0": "gru"})
def UnbatchedGru():
    return nn.GRU(8, 4)


@case(_lengths, weights={"rnn.weight_ih_l0": "lstm", "head.weight": "linear"})
class PackedInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True)
        out, _ = self.rnn(packed)
        out, _ = pad_packed_sequence(out, batch_first=True)
        return self.head(out)


@case(lambda: (pack_sequence([torch.randn(5, 8), torch.randn(3, 8)]),), weights={"rnn.weight_ih_l0": "gru"})
class PackedInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(8, 4)

    def forward(self, packed):
        out, h = self.rnn(packed)
        return out.data, h


@case(row(2, 5, 8), weights={"cell.weight_ih": "lstm_cell", "cell.weight_hh": "lstm_cell"})
class CellLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(8, 4)

    def forward(self, x):
        h = c = x.new_zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
        return h


@case(row(2, 5, 8), weights={"cell.weight_hh": "gru_cell"})
class GruCellLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(8, 4)

    def forward(self, x):
        h = torch.zeros(x.shape[0], 4)
        for step in x.unbind(1):
            h = self.cell(step, h)
        return h


@case(row(2, 5, 8), weights={"cell.weight_hh": "rnn_tanh_cell"})
class RnnCellLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(8, 4)

    def forward(self, x):
        h = None
        for step in x.unbind(1):
            h = self.cell(step, h)
        return h


@case(row(2, 6, 8), weights={"proj.weight": "linear", "log_a": "exp"})
class SelectiveScan(nn.Module):
    """A state-space scan: x_t = a x_{t-1} + b u_t, written as a Python loop."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(8, 12)
        self.log_a = nn.Parameter(torch.zeros(4))
        self.out = nn.Linear(4, 8)

    def forward(self, x):
        delta, b, c = self.proj(x).split([4, 4, 4], -1)
        decay = torch.exp(-torch.exp(self.log_a) * nn.functional.softplus(delta))
        state = torch.zeros(x.shape[0], 4)
        outputs = []
        for t in range(x.shape[1]):
            state = decay[:, t] * state + b[:, t]
            outputs.append(state * c[:, t])
        return self.out(torch.stack(outputs, 1))


@case(row(2, 6, 8), weights={"gate.weight": "linear"})
class CumulativeScan(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(8, 8)

    def forward(self, x):
        return torch.cumsum(torch.log(torch.sigmoid(self.gate(x))), 1).exp() * x


@case(_lengths, weights={"linear.weight": "linear"})
class LengthMask(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x, lengths):
        mask = torch.arange(int(lengths.max()))[None] < lengths[:, None]
        h = self.linear(x) * mask[..., None]
        return h.sum(1) / lengths[:, None]


@case(_lengths, weights={"linear.weight": "linear"})
class SplitByLength(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x, lengths):
        return [self.linear(row[:n]) for row, n in zip(x, lengths.tolist(), strict=True)]
