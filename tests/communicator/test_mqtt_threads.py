"""Eight threads on one client, publishing, subscribing and unsubscribing at once."""

import os
import threading
import time
from collections import defaultdict

import pytest

from communicator.common.exception import ProtocolQueueFullError
from tests.communicator.waiting import MakeClient, Messages, wait_for

THREADS = 8
# A minute in the whole proof, a few seconds in the normal tests.
SECONDS = 60.0 if os.environ.get("COMMUNICATOR_FULL_PROOF") else 4.0


@pytest.mark.timeout(300)
def test_no_message_of_qos_1_is_lost_and_nobody_waits_for_ever(make_client: MakeClient) -> None:
    client = make_client(publish_queue_maxsize=5_000)
    received: dict[str, set[int]] = defaultdict(set)
    sent = [0] * THREADS
    failed: list[BaseException] = []
    client.subscribe("work/+", lambda topic, payload: received[topic].add(int(payload)), qos=1)
    client.connect()
    wait_for(lambda: client.is_connected)
    end = time.monotonic() + SECONDS

    def work(number: int) -> None:
        topic, own = f"work/{number}", Messages()
        try:
            while time.monotonic() < end:
                try:
                    client.publish(topic, str(sent[number]), qos=1)
                    sent[number] += 1
                except ProtocolQueueFullError:
                    time.sleep(0.001)
                if sent[number] % 500 == 1:
                    client.subscribe(f"own/{number}/#", own, qos=1)
                    client.publish(f"own/{number}/x", "", qos=0)
                    client.statistics()
                if sent[number] % 500 == 251:
                    client.unsubscribe(f"own/{number}/#", own)
        except BaseException as error:  # noqa: BLE001 -- reported below, from the main thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 60)
        assert not thread.is_alive(), "a deadlock"
    assert failed == []
    wait_for(lambda: sum(map(len, received.values())) == sum(sent), 60)
    for number in range(THREADS):
        assert received[f"work/{number}"] == set(range(sent[number]))
    statistics = client.statistics()
    assert statistics.connections_lost == 0
    assert statistics.handler_errors == 0
    print(f"{sum(sent)} messages in {SECONDS:g} s, {statistics}")  # noqa: T201 -- the proof's numbers
