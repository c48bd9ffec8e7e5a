"""Answers in pieces of any size, and what is kept of them."""

import random

import pytest
from load_servers import command

from conformance.performance.histogram import Histogram
from conformance.performance.load.command import read_command
from conformance.performance.load.exchange import KNOWN_LIMIT, Echo, Garbage, HttpReply, Judge
from conformance.performance.load.recorder import Interval, Recorder, Tally

CHUNKS = b"3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\nt: r\r\n\r\n"
ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5, True),
    "empty": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, 0, True),
    "chunks": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n" + CHUNKS, 200, 13, True),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx",
                404, 1, False),
    "old": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", 200, 1, False),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_split_at_any_byte(name):
    data, status, body, keep = ANSWERS[name]
    for first in range(1, len(data)):
        for second in (first + 1, (first + len(data)) // 2, len(data)):
            reply = HttpReply(bodyless=False)
            pieces = [piece for piece in (data[:first], data[first:second], data[second:]) if piece]
            done = [reply.feed(piece) for piece in pieces]
            assert done == [False] * (len(pieces) - 1) + [True], (first, second)
            assert (reply.status, reply.body, reply.keep, reply.size) == (status, body, keep, len(data))


@pytest.mark.parametrize("name", ANSWERS)
def test_bytes_after_an_answer_are_garbage_wherever_it_was_split(name):
    data = ANSWERS[name][0] + b"!"
    for cut in range(1, len(data) - 1):
        reply = HttpReply(bodyless=False)
        assert not reply.feed(data[:cut])
        with pytest.raises(Garbage, match="1 bytes after the end"):
            reply.feed(data[cut:])


def test_whatever_comes_is_an_answer_or_garbage():
    draw = random.Random(4)
    pieces = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.", b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n",
              b"\r\n", b"\n", b"0\r\n", b"3\r\n", b"abc", b"\0\xff", b":", b"x" * 5000, b"-1", b"ffffffffff\r\n"]
    for _ in range(5000):
        reply = HttpReply(bodyless=draw.random() < 0.1)
        try:
            while not reply.feed(b"".join(draw.choices(pieces, k=3))) and reply.size < 100_000:
                pass
        except Garbage:
            pass


@pytest.mark.parametrize("greeting", [b"", b'{"pod":"a"}\n'])
@pytest.mark.parametrize("sent", [b"x", b"[", b"0123456789"])
def test_an_echo_split_at_any_byte(sent, greeting):
    data = greeting + sent
    for cut in range(len(data)):
        echo = Echo(sent)
        done = [echo.feed(piece) for piece in (data[:cut], data[cut:]) if piece]
        assert done[-1]
        assert not any(done[:-1])
        assert echo.agent == (greeting.strip() or None)


def test_only_whole_and_right_answers_are_remembered_and_not_too_many():
    counted = []
    judge = Judge(read_command(command("http://a/")), lambda answer, count: counted.append(count))
    known = judge.known()

    def take(*pieces):
        reply = judge.reply()
        for piece in pieces:
            done = reply.feed(piece)
        assert done
        return judge.judge(reply, pieces[-1], known)

    data = ANSWERS["length"][0]
    assert take(data[:9], data[9:]).error == ""
    assert not known
    assert take(ANSWERS["interim"][0]).error == "status"
    assert not known
    known_answer = take(data)
    assert known == {data: known_answer}
    known_answer.count = 7
    for number in range(KNOWN_LIMIT):
        take(data.replace(b"OK", b"OK%d" % number))
    assert len(known) <= KNOWN_LIMIT
    assert counted == [7]


def test_a_tally_counts_as_a_histogram_does():
    draw = random.Random(5)
    values = [int(draw.lognormvariate(11, 2)) + 8192 for _ in range(20_000)]
    tally, poured, direct = Tally(), Histogram(), Histogram()
    for value in values:
        direct.record(value)
        tally.cells[value >> 6] += 1
    tally.total, tally.least, tally.longest = sum(values), min(values), max(values)
    tally.pour(poured)
    assert poured.to_json() == direct.to_json()
    Tally().pour(poured)
    assert poured.count == len(values)


@pytest.mark.parametrize("values", [[5], [5, 5], [5, 7000]])
def test_a_tally_of_few_and_short_times(values):
    tally, poured = Tally(), Histogram()
    for value in values:
        tally.cells[value >> 6] += 1
    tally.total, tally.least, tally.longest = sum(values), min(values), max(values)
    tally.pour(poured)
    assert Histogram.from_json(poured.to_json()).max == max(values)
    assert (poured.count, poured.min, poured.total) == (len(values), min(values), sum(values))


def test_intervals_are_given_up_when_nothing_of_them_is_open():
    recorder = Recorder(read_command(command("http://a/", rate=10.0, duration=10.0, interval=0.5)))
    for second in range(10):
        intended = second * 10**9
        recorder.began(intended, intended)
        recorder.ended(None, "" if second % 2 else "timeout", intended, intended, intended + 10**6)
    assert len(recorder._intervals) == 10
    recorder.close_intervals(9 * 10**9)
    assert len(recorder._intervals) == 1
    # One that was given up as timed out after all: the counts are added, the percentiles stay.
    recorder.ended(None, "timeout", 10**9, 10**9, 10**9)
    rows = recorder.result()["timeline"]["rows"]
    assert rows[2] == [1, 1, 10**6, 10**6, 10**6]
    assert rows[0] == [0, 1, 0, 0, 0]
    assert len(rows) == 19
    assert Interval().row() == [0, 0, 0, 0, 0]
