"""Run by test_tunnel.py in a process of its own, patched as pyinfra's is: a tunnel through a real SSH transport."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import socket  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from types import SimpleNamespace  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import httpx  # noqa: E402
import paramiko  # noqa: E402
from small_server import serving  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from operations import tunnel  # noqa: E402

BIG = "0123456789" * 20_000


class Sshd(paramiko.ServerInterface):
    """Lets direct-tcpip through to ports that are open, as sshd does."""

    asked: list[tuple[str, int]] = []

    def check_auth_none(self, username: str) -> int:
        return paramiko.AUTH_SUCCESSFUL  # type: ignore[attr-defined,no-any-return]

    def check_channel_direct_tcpip_request(self, chanid: int, origin: Any, destination: Any) -> int:
        self.asked.append(destination)
        with socket.socket() as one:
            if one.connect_ex(destination):
                return paramiko.OPEN_FAILED_CONNECT_FAILED  # type: ignore[attr-defined,no-any-return]
        return paramiko.OPEN_SUCCEEDED  # type: ignore[attr-defined,no-any-return]


def sshd(end: socket.socket, port: int) -> None:
    """The far end of the connection: every channel leads to the port."""
    transport = paramiko.Transport(end)
    transport.add_server_key(paramiko.ECDSAKey.generate())
    transport.start_server(event=threading.Event(), server=Sshd())  # with an event it does not wait

    def accept() -> None:
        while transport.is_active():
            if channel := transport.accept(1):
                far = socket.create_connection(("127.0.0.1", port))
                gevent.spawn(tunnel._copy, channel, far)
                gevent.spawn(tunnel._copy, far, channel)

    gevent.spawn(accept)


def main() -> None:
    found: dict[str, Any] = {}
    near, far = socket.socketpair()
    with serving() as small:
        sshd(far, small.port)
        client = paramiko.Transport(near)
        client.start_client(timeout=10)
        client.auth_none("me")
        host: Any = SimpleNamespace(
            name="app1", connector=SimpleNamespace(client=SimpleNamespace(get_transport=lambda: client))
        )
        small.answer = lambda got: (time.sleep(1), (201, BIG + got.line + got.body))[1]  # type: ignore[func-returns-value]
        small.event = lambda got: got.line
        with tunnel.to(host, "127.0.0.1", small.port) as url:
            found["url"] = url
            began = time.monotonic()

            def post(number: int) -> str:
                return httpx.post(f"{url}/x/{number}", content=BIG, timeout=20, trust_env=False).text

            with connect(url.replace("http", "ws") + "/ws", proxy=None) as websocket:
                jobs = [gevent.spawn(post, number) for number in range(10)]
                gevent.joinall(jobs, timeout=30)
                found["took"] = time.monotonic() - began
                found["whole"] = [job.value == f"{BIG}POST /x/{n} HTTP/1.1{BIG}" for n, job in enumerate(jobs)]
                found["events"] = sorted(websocket.recv(timeout=5) for _ in jobs)
        try:
            httpx.get(url, trust_env=False)
        except httpx.ConnectError:
            found["closed"] = True
        try:
            with tunnel.to(host, "127.0.0.1", 1):
                pass
        except tunnel.TunnelError as error:
            found["refused"] = str(error)
        local: Any = SimpleNamespace(name="here", connector=SimpleNamespace())
        with tunnel.to(local, "10.0.0.1", 18001) as url:
            found["local"] = url
        found["asked"] = sorted(set(Sshd.asked)) == sorted({("127.0.0.1", small.port), ("127.0.0.1", 1)})
        client.close()
    print(json.dumps(found))


main()
