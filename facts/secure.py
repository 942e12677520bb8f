"""What a host is kept safe by: its sshd, the rules that are loaded, its kernel's settings, other firewalls."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from pyinfra.api import FactBase

from changeover.firewall_before import shutting

GUARD = "/usr/local/sbin/changeover-guard"


class SshdSettings(FactBase[dict[str, list[str]]]):
    """What sshd reads in its files: keyword in small letters -> its values; with `first`, a file that comes before."""

    def command(self, first: str = "") -> str:
        if not first:
            return "/usr/sbin/sshd -T 2>/dev/null || true"
        whole = f'{{ echo "Include {first}"; cat /etc/ssh/sshd_config; }} > "$f" && /usr/sbin/sshd -T -f "$f"'
        return f'f=$(mktemp) && {{ {whole}; rm -f "$f"; }} 2>/dev/null || true'

    @staticmethod
    def default() -> dict[str, list[str]]:
        return {}

    def process(self, output: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in output:
            keyword, _, value = line.partition(" ")
            found.setdefault(keyword, []).append(value)
        return found


class RulesLoaded(FactBase[str]):
    """The digest that our rules show in the kernel; empty when there are none."""

    def command(self, table: str) -> str:
        return f"nft list table {table} 2>/dev/null | sed -n 's/^\\tcomment \"\\(.*\\)\"$/\\1/p' | head -n 1; true"

    @staticmethod
    def default() -> str:
        return ""


class RulesFile(FactBase[str]):
    """The file that our rules are loaded from; empty when there is none of ours."""

    def command(self, path: str, table: str) -> str:
        return f"grep -qs '^table {table} {{' {path} && cat {path}; true"

    @staticmethod
    def default() -> str:
        return ""

    def process(self, output: list[str]) -> str:
        return "".join(f"{line}\n" for line in output)


class GuardWaits(FactBase[list[str]]):
    """Names of what was changed and still waits for its confirmation (operations/on_host/guard.py)."""

    def command(self) -> str:
        return f"[ ! -x {GUARD} ] || {GUARD} status | tr -d '[]\",'"

    @staticmethod
    def default() -> list[str]:
        return []

    def process(self, output: list[str]) -> list[str]:
        return " ".join(output).split()


class KernelSettings(FactBase[dict[str, str]]):
    """{setting: value} for those of `keys` that the host's kernel knows."""

    def command(self, keys: Sequence[str]) -> str:
        files = " ".join(shlex.quote(key.replace(".", "/")) for key in keys)
        return f"cd /proc/sys && grep -sH '' {files}; true"

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: list[str]) -> dict[str, str]:
        found = (line.partition(":") for line in output)
        return {file.replace("/", "."): " ".join(value.split()) for file, _, value in found}


class SwapActive(FactBase[bool]):
    """Whether a swap file is in use."""

    def command(self, path: str) -> str:
        return f"grep -q '^{path} ' /proc/swaps && echo yes; true"

    @staticmethod
    def default() -> bool:
        return False

    def process(self, output: list[str]) -> bool:
        return "yes" in output


@dataclass(frozen=True)
class Firewalls:
    """Other firewalls that are at work, and which network card has which address."""

    others: tuple[str, ...]
    cards: dict[str, str]


class OtherFirewalls(FactBase[Firewalls]):
    """What a firewall of ours would have to share the host with."""

    def command(self) -> str:
        """Never fails. Rules of nftables count when the file is neither the package's own nor ours.

        Ours is also one with our table: a run that was killed before its confirmation did not write its name down.
        """
        own = "dpkg-query -W -f '${Conffiles}\\n' nftables 2>/dev/null | grep -F \" $f \""
        return (
            "ufw status 2>/dev/null | grep -q 'Status: active' && echo ufw;"
            " systemctl is-active -q firewalld 2>/dev/null && echo firewalld;"
            ' f=/etc/nftables.conf; [ -e "$f" ] && ! grep -qxF "$f" /var/lib/changeover/written 2>/dev/null'
            " && ! grep -q '^table inet changeover {' \"$f\""
            f' && ! {own} | grep -qF "$(md5sum < "$f" | cut -c1-32)" && echo "$f";'
            " systemctl is-enabled -q netfilter-persistent 2>/dev/null && echo netfilter-persistent;"
            " nft list ruleset 2>/dev/null | sed 's/^/nft:/';"
            ' ip -o -4 address show 2>/dev/null | awk \'{split($4, a, "/"); print "card", a[1], $2}\'; true'
        )

    @staticmethod
    def default() -> Firewalls:
        return Firewalls((), {})

    def process(self, output: list[str]) -> Firewalls:
        cards = [line.split() for line in output if line.startswith("card ")]
        others = [line for line in output if not line.startswith(("card ", "nft:"))]
        if not {"ufw", "firewalld"} & {*others}:  # whose tables go with them
            others += [f"table {one}" for one in shutting([line[4:] for line in output if line.startswith("nft:")])]
        return Firewalls(tuple(others), {address: card for _, address, card in cards})


class Listening(FactBase[list[tuple[int, str, str]]]):
    """(port, tcp or udp, program) of what listens for others than the host itself."""

    def command(self) -> str:
        return "ss -Hlntup 2>/dev/null; true"

    @staticmethod
    def default() -> list[tuple[int, str, str]]:
        return []

    def process(self, output: list[str]) -> list[tuple[int, str, str]]:
        found = []
        for words in (line.split() for line in output):
            address, _, port = words[4].rpartition(":") if len(words) > 5 else ("", "", "")
            if port.isdigit() and not address.startswith(("127.", "[::1]", "[::ffff:127.")):
                program = words[6].partition('(("')[2].partition('"')[0] if len(words) > 6 else ""
                found.append((int(port), words[0], program))
        return found
