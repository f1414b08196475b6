"""Routing tables: filters wanted together, whose topics get their handlers once."""

import asyncio
import statistics
import threading
import time
from collections.abc import Sequence

import pytest

from communicator.common.exception import ProtocolValidationError
from communicator.protocols.mqtt.dispatcher import Dispatcher
from communicator.protocols.mqtt.mqtt_protocol import FilterMatch, MQTTProtocol, RoutingTable
from communicator.protocols.mqtt.routing_table import FrameHandler
from communicator.protocols.mqtt.statistics import Counters
from communicator.protocols.mqtt.subscriptions import MAXIMUM_REMEMBERED_TOPICS, Subscriptions
from development.mosquitto import Mosquitto
from tests.communicator.waiting import Collected, MakeClient, Messages, wait_for


class Handlers:
    """Makes handlers that note what came, by which filters, and acknowledge it."""

    def __init__(self, client: MQTTProtocol | None = None) -> None:
        self.client = client
        self.made = 0
        self.came = Collected[tuple[str, bytes, tuple[FilterMatch, ...]]]()

    def __call__(self, _topic: str, matches: Sequence[FilterMatch]) -> Sequence[FrameHandler]:
        self.made += 1
        found = tuple(matches)

        def handle(topic: str, payload: bytes, delivery: int) -> None:
            self.came.add((topic, payload, found))
            if delivery and self.client is not None:
                self.client.acknowledge(delivery)

        return (handle,)

    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.came.items]


def table(filters: dict[str, int], handlers: Handlers) -> RoutingTable:
    return RoutingTable(filters, handlers)


# ---------------------------------------------------------------- without a broker


def ignore(_topic: str, _payload: bytes, _delivery: int) -> None:
    raise AssertionError("only compared")


def identifier(subscriptions: Subscriptions, topic_filter: str) -> int:
    return next(each.identifier for each in subscriptions if each.topic_filter == topic_filter)


def test_an_impossible_filter_changes_nothing() -> None:
    for filters in ({"a": 1, "$share/g": 1}, {"a": 1, "b\n": 1}, {"a": 3}):
        with pytest.raises(ProtocolValidationError):
            RoutingTable(filters, Handlers())


def test_all_filters_that_match_come_with_what_their_wildcards_stand_for() -> None:
    routing = table({"a/+": 1, "a/#": 0, "a/b": 1, "$share/g/+/b": 1}, Handlers())
    assert routing.subscribed == {"a/#": 1, "$share/g/+/b": 1}
    assert {(match.topic_filter, match.captured, widest) for match, widest in routing.match("a/b")} == {
        ("a/b", (), "a/#"),
        ("a/+", ("b",), "a/#"),
        ("a/#", ("b",), "a/#"),
        ("$share/g/+/b", ("a",), "$share/g/+/b"),
    }


@pytest.mark.parametrize("named", ["a/+", "+/b", "$share/g/a/+"])
def test_each_copy_is_for_the_filters_that_it_came_by(named: str) -> None:
    subscriptions = Subscriptions()
    filters = {"a/+": [FilterMatch("a/+", ("b",)), FilterMatch("a/b", ())]}
    filters["+/b"] = [FilterMatch("+/b", ("a",))]
    filters["$share/g/a/+"] = [FilterMatch("$share/g/a/+", ("b",))]
    subscriptions.route(table({"a/b": 1, "a/+": 1, "+/b": 1, "$share/g/a/+": 1}, Handlers()))
    found = subscriptions.match("a/b", (identifier(subscriptions, named),))
    assert sorted(found.routed, key=str) == sorted(filters[named], key=str)


def test_a_broker_that_names_nothing_or_all_has_sent_one_copy() -> None:
    subscriptions = Subscriptions()
    subscriptions.route(table({"a/+": 1, "+/b": 1}, Handlers()))
    both = [identifier(subscriptions, each) for each in ("a/+", "+/b")]
    for identifiers in ((), both, (7,)):
        assert {each.topic_filter for each in subscriptions.match("a/b", identifiers).routed} == {"a/+", "+/b"}


def test_an_identifier_means_the_same_to_the_next_program() -> None:
    before, after = Subscriptions(), Subscriptions()
    before.route(table({"x": 1, "a/+": 1}, Handlers()))
    after.route(table({"y/+": 1, "+/b": 1, "x": 1, "a/+": 1}, Handlers()))
    # A message that waited while another table took this one's place.
    found = after.match("a/b", (identifier(before, "a/+"),))
    assert [each.topic_filter for each in found.routed] == ["a/+"]


def test_a_tables_end_ends_its_filters_and_leaves_those_that_others_joined() -> None:
    subscriptions = Subscriptions()
    subscriptions.open("both", 0).routes.append(ignore)
    asked, ended = subscriptions.route(table({"both": 1, "only": 1}, Handlers()))
    assert [(each.topic_filter, each.qos) for each in asked] == [("both", 1), ("only", 1)]
    assert ended == []
    asked, ended = subscriptions.route(table({}, Handlers()))
    assert (asked, ended) == ([], ["only"])
    assert [each.topic_filter for each in subscriptions] == ["both"]
    assert subscriptions.close("both")
    assert list(subscriptions) == []


def test_what_a_table_wants_is_not_closed() -> None:
    subscriptions = Subscriptions()
    subscriptions.route(table({"a": 1}, Handlers()))
    assert not subscriptions.close("a")
    assert [each.topic_filter for each in subscriptions] == ["a"]


def test_the_next_table_asks_only_for_what_is_new() -> None:
    subscriptions = Subscriptions()
    subscriptions.route(table({"a": 1, "b": 0, "c": 1}, Handlers()))
    asked, ended = subscriptions.route(table({"a": 1, "b": 1, "d/+": 1}, Handlers()))
    assert [(each.topic_filter, each.qos) for each in asked] == [("b", 1), ("d/+", 1)]
    assert ended == ["c"]


def test_remembered_topics_are_bounded_and_a_new_one_costs_the_same_for_ever() -> None:
    dispatcher = Dispatcher(threading.RLock(), Counters(), lambda _identifier, _qos: None, lambda _topic: None)
    handlers = Handlers()
    dispatcher.subscriptions.route(table({f"site/{number}/+/value": 1 for number in range(30_000)}, handlers))
    seconds: list[float] = []
    for number in range(MAXIMUM_REMEMBERED_TOPICS + 20_000):
        topic = b"site/%d/%d/value" % (number * 7919 % 30_000, number)
        started = time.perf_counter()
        dispatcher.recipients(topic)
        seconds.append(time.perf_counter() - started)
    assert handlers.made == len(seconds)
    assert len(dispatcher.subscriptions.remembered) == MAXIMUM_REMEMBERED_TOPICS
    # Trying each filter would take some 5 ms. The median, for the machine has other things to do.
    assert statistics.median(seconds[-20_000:]) < 0.0001


# ---------------------------------------------------------------- with a broker


@pytest.mark.parametrize("version", ["5.0", "3.1.1"])
def test_each_message_of_a_table_is_handled(make_client: MakeClient, version: str) -> None:
    client = make_client(protocol_version=version)
    handlers = Handlers(client)
    client.route_topics(table({f"plain/{number}": 1 for number in range(200)} | {"wild/+/#": 1}, handlers))
    client.connect()
    for number in range(200):
        client.publish(f"plain/{number}", b"%d" % number, qos=1)
    client.publish("wild/a/b/c", b"200", qos=1)
    handlers.came.wait(201)
    assert handlers.payloads() == [b"%d" % number for number in range(201)]
    assert handlers.came.items[-1][2] == (FilterMatch("wild/+/#", ("a", "b/c")),)
    wait_for(lambda: client.statistics().unacknowledged == 0)


def test_a_message_is_handled_once_for_each_filter_that_matches(make_client: MakeClient) -> None:
    client = make_client()
    handlers = Handlers(client)
    client.route_topics(table({"a/+": 1, "+/b": 1, "a/b": 0}, handlers))
    client.connect()
    client.publish("a/b", b"1", qos=1)
    client.publish("c/b", b"2", qos=1)
    handlers.came.wait_until(lambda items: bool(items) and items[-1][1] == b"2")
    came = [(payload, each.topic_filter) for _, payload, found in handlers.came.items for each in found]
    assert sorted(came) == [(b"1", "+/b"), (b"1", "a/+"), (b"1", "a/b"), (b"2", "+/b")]
    wait_for(lambda: client.statistics().unacknowledged == 0)


@pytest.mark.parametrize("version", ["5.0", "3.1.1"])
def test_the_members_of_a_group_share_its_messages(make_client: MakeClient, version: str) -> None:
    every = [Handlers(client) for client in (make_client(protocol_version=version) for _ in range(2))]
    for handlers in every:
        assert handlers.client is not None
        handlers.client.route_topics(table({"$share/g/jobs/+": 1}, handlers))
        handlers.client.connect()
    source = make_client()
    source.connect()
    for number in range(50):
        source.publish(f"jobs/{number}", b"%d" % number, qos=1)
    wait_for(lambda: sum(len(handlers.payloads()) for handlers in every) >= 50)
    came = [payload for handlers in every for payload in handlers.payloads()]
    assert sorted(came, key=int) == [b"%d" % number for number in range(50)]


def test_a_table_that_takes_anothers_place_while_messages_come_loses_none(make_client: MakeClient) -> None:
    client, source = make_client(), make_client()
    handlers = Handlers(client)
    client.route_topics(table({"old/+": 1, "stays": 1}, handlers))
    client.connect()
    source.connect()
    for number in range(300):
        source.publish(f"old/{number}", b"%d" % number, qos=1)
        if number % 50 == 25:
            filters = {"old/#": 1} if number % 100 == 25 else {"old/+": 1}
            client.route_topics(table({**filters, "stays": 1}, handlers))
    wait_for(lambda: set(handlers.payloads()) == {b"%d" % number for number in range(300)})


def test_a_handler_factory_that_fails_is_counted_and_holds_up_nothing(make_client: MakeClient) -> None:
    client = make_client()
    messages = Messages()

    def fail(_topic: str, _matches: Sequence[FilterMatch]) -> Sequence[FrameHandler]:
        raise ValueError("a defect of the application")

    client.route_topics(RoutingTable({"a": 1}, fail))
    client.subscribe("b", messages)
    client.connect()
    client.publish("a", b"1", qos=1)
    client.publish("b", b"2", qos=1)
    messages.wait(1)
    assert client.statistics().handler_errors == 1
    assert client.is_connected
    wait_for(lambda: client.statistics().unacknowledged == 0)


async def test_whether_the_subscriptions_stand_is_known(broker: Mosquitto) -> None:
    client = MQTTProtocol(broker_address="127.0.0.1", port=broker.port)
    waiting = asyncio.create_task(client.subscribed_async())
    await asyncio.sleep(0)
    assert not waiting.done()
    client.route_topics(RoutingTable({f"a/{number}": 1 for number in range(300)}, Handlers()))
    await client.connect_async()
    assert await waiting
    assert await client.subscribed_async()
    client.route_topics(RoutingTable({"b": 1}, Handlers()))
    assert await client.subscribed_async()
    broker.stop()
    wait_again = asyncio.create_task(client.subscribed_async())
    await client.disconnect_async()
    assert await wait_again in (True, False)


async def test_without_subscriptions_they_stand_with_the_connection(broker: Mosquitto) -> None:
    client = MQTTProtocol(broker_address="127.0.0.1", port=broker.port)
    waiting = asyncio.create_task(client.subscribed_async())
    await asyncio.sleep(0)
    await client.connect_async()
    assert await waiting
    await client.disconnect_async()


async def test_a_client_that_ends_before_says_so() -> None:
    client = MQTTProtocol(broker_address="127.0.0.1", port=1)
    waiting = asyncio.create_task(client.subscribed_async())
    with pytest.raises(Exception, match="refused"):
        await client.connect_async()
    assert not await waiting
