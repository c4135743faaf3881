"""What a draw depends on: a seed and the name of a parameter, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Key:
    """The address of a parameter's random stream.

    Two parameters of other names have independent streams, so adding, removing or reordering layers changes no other
    draw. `name` may be any text, lone surrogates of a hostile file included.
    """

    seed: int
    name: str

    def child(self, label: str) -> Key:
        """The key of a part of this parameter (one gate, one expert, the rotations of a sparse start)."""
        return Key(self.seed, f"{self.name}\x1f{label}")

    def words(self) -> tuple[int, int]:
        """The two 64-bit key words of the generator: BLAKE2b over the seed and the name."""
        text = f"{self.seed}\x00{self.name}".encode("utf-8", "surrogatepass")
        digest = blake2b(text, digest_size=16, person=b"initadvisor-key").digest()
        return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
