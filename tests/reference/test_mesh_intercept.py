"""The init container's program: which rules it makes, without a kernel that would take them."""

from __future__ import annotations

import subprocess

import pytest
from pod_networks import ARGUMENTS, INTERCEPT

from conformance import mesh
from conformance.sandbox.reference import interception

FAKE = """#!/bin/sh
echo "${0##*/} $*" >> {log}
case " $* " in
  *" -S "*) {readable} ;;
  *" -L "*|*" -C "*) exit {there} ;;
  *" {refused} "*) echo refused >&2; exit 4 ;;
esac
"""


@pytest.fixture
def run(tmp_path):
    """Run the program with an iptables of a few lines; gives how it ended, and the calls of iptables."""
    def run(*arguments, broken=(), there=1, refused="nothing"):
        log = tmp_path / "calls"
        log.write_text("")
        for name in ("iptables", "iptables-legacy"):
            text = FAKE.replace("{log}", str(log)).replace("{there}", str(there)).replace("{refused}", refused)
            readable = "echo no table >&2; exit 3" if name in broken else "exit 0"
            (tmp_path / name).write_text(text.replace("{readable}", readable))
            (tmp_path / name).chmod(0o755)
        done = subprocess.run(["sh", INTERCEPT, *arguments], capture_output=True, text=True, timeout=10, check=False,
                              env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
        return done, [line for line in log.read_text().splitlines() if " -S" not in line]
    return run


def rules(calls, chain):
    marker = f"iptables -w -t nat -A {chain} "
    return [call.removeprefix(marker) for call in calls if call.startswith(marker)]


def test_inbound_rules(run):
    done, calls = run(*ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert rules(calls, "MESH_INBOUND") == [
        "-p tcp --dport 19000 -j RETURN", "-p udp --dport 19000 -j RETURN",
        "-p tcp --dport 15000 -j RETURN", "-p udp --dport 15000 -j RETURN",
        "-p tcp --dport 15001 -j RETURN", "-p tcp --dport 15006 -j RETURN",
        "-p tcp -j REDIRECT --to-ports 15006",
        "-p udp --dport 1:49151 -j DNAT --to-destination :16385-65535/1",
        "-p udp --dport 49152:65535 -j DNAT --to-destination :1-16384/49152",
    ]


def test_outbound_rules(run):
    _, calls = run(*ARGUMENTS)
    assert rules(calls, "MESH_OUTBOUND") == [
        "-p tcp -o lo -s 127.0.0.6/32 -j RETURN",
        "-p tcp -o lo ! -d 127.0.0.0/8 -m owner --uid-owner 1337 -j REDIRECT --to-ports 15006",
        "-p tcp -m owner --uid-owner 1337 -j RETURN",
        "-p tcp -o lo -j RETURN", "-p tcp -d 127.0.0.0/8 -j RETURN",
        "-p tcp -j REDIRECT --to-ports 15001",
    ]
    assert interception.FROM_PROXY == "127.0.0.6"


def test_chains_are_used_when_they_are_whole(run):
    _, calls = run(*ARGUMENTS)
    assert calls[-4:] == [
        "iptables -w -t nat -C PREROUTING -j MESH_INBOUND", "iptables -w -t nat -A PREROUTING -j MESH_INBOUND",
        "iptables -w -t nat -C OUTPUT -j MESH_OUTBOUND", "iptables -w -t nat -A OUTPUT -j MESH_OUTBOUND",
    ]


def test_second_run_makes_no_chain_and_no_hook(run):
    _, calls = run(*ARGUMENTS, there=0)
    assert not [call for call in calls if " -N " in call or " -A PREROUTING" in call or " -A OUTPUT" in call]
    assert len(rules(calls, "MESH_INBOUND")) == 9


def test_datagrams_are_left_alone_unless_asked(run):
    done, calls = run("--outbound-port", "15001", "--inbound-port", "15006")
    assert done.returncode == 0
    assert not [call for call in calls if "udp" in call]


def test_older_back_end_is_used_where_the_newer_is_missing(run):
    done, calls = run(*ARGUMENTS, broken=("iptables",))
    assert done.returncode == 0
    assert all(call.startswith("iptables-legacy ") for call in calls)
    assert "no table" in done.stderr


def test_without_a_nat_table_it_says_what_the_container_needs(run):
    done, calls = run(*ARGUMENTS, broken=("iptables", "iptables-legacy"))
    assert done.returncode == 2
    assert "NET_ADMIN and NET_RAW" in done.stderr
    assert calls == []


def test_rule_that_the_kernel_refuses_ends_it(run):
    done, _ = run(*ARGUMENTS, refused="DNAT")
    assert done.returncode == 2
    assert "-j DNAT --to-destination :16385-65535/1 failed; the pod's traffic is not intercepted" in done.stderr
    assert "refused" in done.stderr


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "--outbound-port and --inbound-port are needed"),
    (("--outbound-port", "15001"), "--outbound-port and --inbound-port are needed"),
    (("--outbound-port",), "--outbound-port needs a value"),
    (("--outbound-port", "0"), "0 is not between 1 and 65535"),
    (("--outbound-port", "65536"), "65536 is not between 1 and 65535"),
    (("--outbound-port", "1e3"), "'1e3' is not a number"),
    (("--outbound-port", "-1"), "'-1' is not a number"),
    (("--outbound-port", ""), "'' is not a number"),
    (("--outbound-port", "9999999999999999999"), "is not a number"),
    (("--udp-shift", "65535"), "65535 is not between 1 and 65534"),
    (("--exclude-inbound-ports", "80,*"), "'*' is not a number"),
    (("--exclude-inbound-ports", "80,; reboot"), "'; reboot' is not a number"),
    (("--no-such", "1"), "unknown option --no-such"),
])
def test_wrong_arguments_are_refused_before_anything_is_changed(run, arguments, said):
    done, calls = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert calls == []


def test_the_mesh_asks_for_what_its_sidecars_expect():
    (container, _) = mesh.load("reference").pod_template["spec"]["initContainers"]
    asked = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
    assert asked == {
        "--outbound-port": str(interception.OUTBOUND_PORT), "--inbound-port": str(interception.INBOUND_PORT),
        "--proxy-uid": str(interception.PROXY_USER), "--udp-shift": str(interception.UDP_SHIFT),
        "--exclude-inbound-ports": f"19000,{interception.ADMIN_PORT}",
    }
    assert tuple(container["args"]) == ARGUMENTS
