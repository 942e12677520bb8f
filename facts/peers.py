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
    """Type and base64 of both keys, without comments. The first as its private half says: that may be gone alone."""

    def command(self) -> str:
        words = "cut -d' ' -f1,2"
        peer = f"ssh-keygen -y -f /etc/changeover/peer_key -P '' 2>/dev/null | {words}"
        server = f"{words} /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null"
        return f'echo "public $({peer})"; echo "host $({server})"'

    @staticmethod
    def default() -> Keys:
        return Keys()

    def process(self, output: list[str]) -> Keys:
        found = {key: value for key, _, value in (line.partition(" ") for line in output)}
        return Keys(found.get("public", "").strip(), found.get("host", "").strip())
