"""The public halves of a host's keys."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Keys:
    """`public`: the key with which it asks its peers. `host`: the key of its SSH server. Empty where there is none."""

    public: str = ""
    host: str = ""


class PeerKeys(FactBase[Keys]):
    """Type and base64 of both keys, without comments."""

    def command(self) -> str:
        look = "cut -d' ' -f1,2 {} 2>/dev/null"
        peer, server = look.format("/etc/changeover/peer_key.pub"), look.format("/etc/ssh/ssh_host_ed25519_key.pub")
        return f'echo "public $({peer})"; echo "host $({server})"'

    @staticmethod
    def default() -> Keys:
        return Keys()

    def process(self, output: list[str]) -> Keys:
        found = {key: value for key, _, value in (line.partition(" ") for line in output)}
        return Keys(found.get("public", "").strip(), found.get("host", "").strip())
