"""A host that does not answer any more ends the commands that wait for it."""

import socket
import threading
import time

import paramiko
import pytest

from operations import ssh


class Server(paramiko.ServerInterface):
    """Lets everybody in, and knows no request."""

    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "none"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        return True


@pytest.fixture
def connected():
    """A client's transport, a server's, and the socket between them, which `cut` makes silent."""
    here, there = socket.socketpair()
    server = paramiko.Transport(there)
    server.add_server_key(paramiko.ECDSAKey.generate())
    server.start_server(event=threading.Event(), server=Server())
    client = paramiko.Transport(here)
    client.start_client()
    client.auth_none("admin")
    yield client, server
    client.close()
    server.close()


def running(client):
    channel = client.open_session()
    channel.exec_command("sleep forever")
    return channel


def test_a_command_on_a_silent_host_ends(connected):
    client, server = connected
    channel = running(client)
    server.packetizer.read_message = lambda: time.sleep(60)  # the host is there no more, and nobody says so
    client.global_request("nothing", wait=False)
    threading.Thread(target=ssh.watch, args=(client, 0.2, 0.5), daemon=True).start()
    began = time.monotonic()
    assert channel.recv_exit_status() == -1
    assert time.monotonic() - began < 5


def test_a_host_that_answers_is_left_alone(connected):
    client, _ = connected
    running(client)
    thread = threading.Thread(target=ssh.watch, args=(client, 0.1, 0.5), daemon=True)
    thread.start()
    time.sleep(1.5)
    assert client.is_active()
    client.close()
    thread.join(2)
    assert not thread.is_alive()
