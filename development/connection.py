"""How the simulated field devices and the checks of the stack reach its broker."""

import os
from dataclasses import dataclass, field

from communicator.protocols.mqtt.mqtt_protocol import MQTTConfig, MQTTProtocol


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """One user of the stack's broker, which listens on the loopback interface."""

    port: int
    username: str
    password: str = field(repr=False)

    @classmethod
    def from_environment(cls) -> BrokerAccount:
        """Read MQTT_PORT, MQTT_USER and MQTT_PASS, the names that fielded controllers use."""
        return cls(int(os.environ["MQTT_PORT"]), os.environ["MQTT_USER"], os.environ["MQTT_PASS"])

    def environment(self) -> dict[str, str]:
        """Return the account as a program's environment: a password is never an argument that others can list."""
        return {
            "MQTT_HOST": "127.0.0.1",
            "MQTT_PORT": str(self.port),
            "MQTT_USER": self.username,
            "MQTT_PASS": self.password,
        }

    def client(self) -> MQTTProtocol:
        """Return a client of this account, not yet connected."""
        return MQTTProtocol(
            MQTTConfig(
                broker_address="127.0.0.1",
                port=self.port,
                username=self.username,
                password=self.password,
                mode="non-blocking",
            )
        )
