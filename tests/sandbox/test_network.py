"""Claims of network numbers and addresses."""

import socket
import subprocess
import sys

import pytest

from conformance.sandbox.errors import SandboxError
from conformance.sandbox.network import AddressPool, Network, inside, loopback, virtual


def test_addresses_map_by_their_first_octet():
    assert loopback("10.7.0.5") == "127.7.0.5"
    assert virtual("127.7.128.3") == "10.7.128.3"
    assert inside("10.7.0.5") == inside("127.7.0.5") == "127.7.64.5"


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.0.1", "100.1.2.3"])
def test_other_addresses_are_left_alone(address):
    assert loopback(address) == virtual(address) == address


def test_a_claim_is_exclusive_until_it_is_released():
    first = Network.claim()
    with pytest.raises(SandboxError, match=r"all 1 sandbox networks of this machine are taken.*end some"):
        Network.claim([first.number])
    second = Network.claim([first.number, *range(1, 255)])
    assert second.number != first.number
    first.release()
    again = Network.claim([first.number])
    assert again.number == first.number
    again.release()
    second.release()


def test_a_claim_ends_with_the_process_that_holds_it():
    script = (
        "from conformance.sandbox.network import Network\n"
        "network = Network.claim(); print(network.number, flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    number = int(holder.stdout.readline())
    with pytest.raises(SandboxError):
        Network.claim([number])
    holder.kill()
    holder.wait()
    Network.claim([number]).release()


def test_a_machine_that_cannot_bind_is_told_what_is_needed(monkeypatch):
    def refuse(self, address):
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SandboxError, match=r"needs Linux.*--context"):
        Network.claim()


def test_pods_and_services_have_their_ranges():
    network = Network.claim()
    try:
        assert network.pods.allocate() == f"10.{network.number}.0.2"
        assert network.services.allocate() == f"10.{network.number}.128.1"
    finally:
        network.release()


def test_a_released_address_is_the_last_to_be_used_again():
    pool = AddressPool("10.1.0.2", "10.1.0.5")
    first = pool.allocate()
    pool.release(first)
    assert [pool.allocate() for _ in range(4)] == ["10.1.0.3", "10.1.0.4", "10.1.0.5", first]


def test_a_pool_leaves_out_the_first_and_the_last_address_of_a_block_and_says_when_it_is_empty():
    pool = AddressPool("10.1.0.253", "10.1.1.2")
    assert [pool.allocate() for _ in range(4)] == ["10.1.0.253", "10.1.0.254", "10.1.1.1", "10.1.1.2"]
    with pytest.raises(SandboxError, match=r"all 4 addresses from 10\.1\.0\.253.*delete some"):
        pool.allocate()
