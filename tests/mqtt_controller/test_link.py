"""Which of a broker's messages the basket takes; no broker is needed to see that."""

from collections.abc import Iterator

import pytest

from communicator.protocols.mqtt.mqtt_protocol import MessageProperties, ReceivedMessage
from mqtt_controller.link import Link
from mqtt_controller.settings import Settings


class Basket:
    """A link that was never started, and the commands that it took."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []
        self.link = Link(Settings(), self.commands.append, lambda _reason: None)

    def hears(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        message = ReceivedMessage(topic, payload, 1, retain, duplicate=False, properties=MessageProperties())
        if topic == Settings().birth_topic:
            self.link._take_birth(message)
        else:
            self.link._take_command(message)


@pytest.fixture
def basket() -> Iterator[Basket]:
    basket = Basket()
    yield basket
    basket.link.close()


@pytest.mark.parametrize(
    ("payload", "retain", "came_up"),
    [(b"online", False, True), (b"offline", False, False), (b"", False, False), (b"online", True, False)],
)
def test_a_server_has_come_up_when_it_says_so_now(basket: Basket, payload: bytes, retain: bool, came_up: bool) -> None:
    basket.hears("homeassistant/status", payload, retain=retain)
    assert basket.link.server_came_up() is came_up
    assert not basket.link.server_came_up()


def test_a_retained_command_is_no_command(basket: Basket, caplog: pytest.LogCaptureFixture) -> None:
    basket.hears("basket/1/status", b"start", retain=True)
    basket.hears("basket/1/status", b"end")
    assert basket.commands == [b"end"]
    assert "Ignored a retained message on basket/1/status" in caplog.text
