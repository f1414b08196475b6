"""The bridge's settings: one YAML file, each value also by environment, secrets by file."""

import json
import re
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, override

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from communicator.topics import check_filter, check_topic, overlaps, wildcards
from data_bridge.catalog.files import DEFAULT_EGRESS_TOPIC, CatalogFiles, SettingsText
from data_bridge.catalog.model import TOPIC_PLACES
from data_bridge.catalog.text_templates import prepare_template
from data_bridge.own_topics import OwnTopics
from data_bridge.reasons import INPUT_REASONS, LOSES_DATA, Reason
from data_bridge.yaml_documents import line_of, name_of

ENVIRONMENT_PREFIX = "IOT_DATA_BRIDGE_"
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _separated(value: object) -> object:
    """Read `a, b` as a list, as people write one in an environment variable, and `["a", "b"]`, as programs do."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",")]
    try:
        listed: object = json.loads(value)
    except json.JSONDecodeError:
        raise ValueError("must be names separated by commas or a JSON list") from None
    return listed


type Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type Count = Annotated[int, Field(gt=0)]


class SettingsError(Exception):
    """Settings that cannot work, one complaint a line, each with its setting's name."""


def _filter(value: str) -> str:
    check_filter(value)
    return value


def _input_reason(value: object) -> object:
    if not isinstance(value, str) or value not in INPUT_REASONS:
        raise ValueError(f"{value!r} is no reason to skip an input; there are {', '.join(sorted(INPUT_REASONS))}")
    return value


def _host(value: str) -> str:
    """Refuse URLs, ports and brackets. A URL may hold a password, and is not repeated."""
    if not value.strip():
        raise ValueError("must not be empty")
    try:
        ip_address(value)
    except ValueError:
        pass
    else:
        return value
    if "://" in value:
        inner = value.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]
        raise ValueError(f"must be a host name or an address, not a URL; the host of this one is {inner}")
    if value.startswith("["):
        raise ValueError("an IPv6 address is written without brackets")
    if re.fullmatch(r"[^:\s]+:\d+", value):
        raise ValueError("must not hold a port: that is broker.port")
    if re.search(r"[\s/@:?#]", value):
        raise ValueError("must be a host name or an address")
    return value


def _egress_topic(value: str) -> str:
    if wildcards(value):
        raise ValueError(f"{value} must not hold a wildcard")
    fill = prepare_template(value, TOPIC_PLACES)
    check_topic(value if fill is None else fill(dict.fromkeys(TOPIC_PLACES, "x")))
    return value


def _identifier(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"{value!r} must be 1 to 64 letters, digits, _ or -: it becomes a level of topics")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsSettings(_Section):
    """TLS to the broker; without `ca_certs` the system's authorities are trusted."""

    enabled: bool = False
    ca_certs: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.keyfile is not None and self.certfile is None:
            raise ValueError("keyfile needs a certfile")
        return self


class BrokerSettings(_Section):
    """The MQTT broker. A password comes from the environment or from a file, and is never written to a log."""

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    keepalive: Annotated[int, Field(ge=1, le=65535)] = 30
    timeout: Seconds = 15
    protocol: Literal["3.1.1", "5.0"] | None = None  # None: 5.0, or 3.1.1 with a broker without 5.0
    session_expiry: Annotated[int, Field(ge=0, le=4294967295)] = 86400  # seconds
    receive_maximum: Annotated[int, Field(ge=1, le=65535)] = 1000  # received QoS 1 messages in flight
    max_inflight: Annotated[int, Field(ge=1, le=60000)] = 1000  # sent QoS 1 messages in flight
    queue_size: Count = 10_000
    reconnect_minimum: Seconds = 1
    reconnect_maximum: Seconds = 60
    tls: TlsSettings = TlsSettings()


class CatalogSettings(_Section):
    """The two catalog files; with `watch` a change on disk is loaded within that many seconds (0: never)."""

    mappings: Path = Path("mappings.yaml")
    devices: Path = Path("devices.yaml")
    watch: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2


class IngressSettings(_Section):
    """The topics of envelopes. Messages above `maximum_bytes` are rejected before they are parsed."""

    topics: Annotated[
        tuple[Annotated[str, AfterValidator(_filter)], ...], BeforeValidator(_separated), Field(min_length=1), NoDecode
    ] = ("iot/ingress",)
    qos: Annotated[int, Field(ge=0, le=1)] = 1
    maximum_bytes: Count = 1024 * 1024


class EgressSettings(_Section):
    """Topic and QoS of devices that state none; {device} is the device id in lower case."""

    topic: Annotated[str, AfterValidator(_egress_topic)] = DEFAULT_EGRESS_TOPIC
    qos: Annotated[int, Field(ge=0, le=1)] = 1


class DeduplicationSettings(_Section):
    """The identity of a message: its trace id alone, or together with its mapping key.

    With `trace_and_key` several messages may share a trace, and keep their order. `entries` bounds the memory: when
    more than half of them are seen within half of `ttl` seconds, the older half is forgotten early.
    """

    enabled: bool = True
    identity: Literal["trace", "trace_and_key"] = "trace"
    ttl: Seconds = 600
    entries: Count = 500_000
    persist: bool = True


class DeliverySettings(_Section):
    """How often the sending of one value is tried, and the pause after the first failed try, doubled each time.

    With `topic_order` the messages of one topic, of topic rules, are sent one after the other, each when the one before
    is confirmed: none overtakes another that has to be tried again.
    """

    tries: Count = 3
    backoff: Seconds = 0.2
    topic_order: bool = True
    stop_timeout: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5


class DeadLetterSettings(_Section):
    """The store of dead letters. `keep` are the reasons for which a rejected message is stored too.

    A flood of bad input, or of deliveries that can never go, fills no disk: of each reason at most `keep_per_second`
    are stored, of all together `keep_bytes_per_second`, of one above `ingress.maximum_bytes` its first
    `too_large_bytes`, and the store as a whole has room for `maximum_entries` and `maximum_bytes`.
    """

    path: Path | None = None  # dead-letters.sqlite in data_directory
    maximum_entries: Count = 100_000
    maximum_bytes: Annotated[int, Field(ge=1024 * 1024)] = 256 * 1024 * 1024
    keep: Annotated[
        tuple[Annotated[Reason, BeforeValidator(_input_reason)], ...], BeforeValidator(_separated), NoDecode
    ] = tuple(sorted(LOSES_DATA))
    keep_per_second: Count = 100
    keep_bytes_per_second: Count = 4 * 1024 * 1024
    too_large_bytes: Annotated[int, Field(ge=0)] = 64 * 1024


class AnnouncementSettings(_Section):
    """Rates of announcements: seconds between two states of one device, states of all devices per second."""

    state_interval: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1
    states_per_second: Count = 500
    metrics_interval: Seconds = 10
    maximum_bytes: Count = 1_000_000  # of the catalog message: brokers limit their packets


class LoggingSettings(_Section):
    """Structured logs to stdout, and with `file` also to a file that rotates at `maximum_bytes`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"
    file: Path | None = None
    maximum_bytes: Count = 10 * 1024 * 1024
    backups: Annotated[int, Field(ge=0)] = 5


class Settings(BaseSettings):
    """All settings. IOT_DATA_BRIDGE_BROKER_HOST in the environment is `broker: {host: …}` in the file, and wins."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    bridge_id: Annotated[str, AfterValidator(_identifier)] = "main"
    name: str = "IoT Data Bridge"
    data_directory: Path = Path("data")
    health_file: Path | None = None  # health.json in data_directory
    broker: BrokerSettings = BrokerSettings()
    catalogs: CatalogSettings = CatalogSettings()
    ingress: IngressSettings = IngressSettings()
    egress: EgressSettings = EgressSettings()
    deduplication: DeduplicationSettings = DeduplicationSettings()
    delivery: DeliverySettings = DeliverySettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    announcements: AnnouncementSettings = AnnouncementSettings()
    logging: LoggingSettings = LoggingSettings()
    _source: SettingsText = PrivateAttr(default=SettingsText())

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give the environment precedence over the file, whose content is the argument of the class."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _no_loop(self) -> Self:
        for topic in self.ingress.topics:
            own = self.own_topics
            if topic.startswith(f"{own.root}/") or any(overlaps(topic, each) for each in own.echoes + own.others):
                raise ValueError(f"ingress.topics: {topic} would read what the bridge itself announces")
        return self

    @property
    def own_topics(self) -> OwnTopics:
        """Return the topics of this bridge itself."""
        return OwnTopics(self.bridge_id)

    @property
    def dead_letter_path(self) -> Path:
        """Return the SQLite file of dead letters."""
        return self.dead_letters.path or self.data_directory / "dead-letters.sqlite"

    @property
    def health_path(self) -> Path:
        """Return the file that the health command reads."""
        return self.health_file or self.data_directory / "health.json"

    def read_from(self, source: SettingsText) -> Self:
        """Return the same settings with the text of their file."""
        copy = self.model_copy()
        copy._source = source  # noqa: SLF001 -- its own class
        return copy

    def broker_password(self) -> str | None:
        """Return the password.

        Raises:
            SettingsError: its file cannot be read.
        """
        broker = self.broker
        if broker.password_file is not None:
            try:
                return broker.password_file.read_text(encoding="utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                text = f"{broker.password_file} is not UTF-8 text (byte {error.start})"
                raise SettingsError(self.complain("broker.password_file", text)) from error
            except OSError as error:
                text = f"{broker.password_file} cannot be read: {error.strerror or error}"
                raise SettingsError(self.complain("broker.password_file", text)) from error
        return broker.password.get_secret_value() if broker.password is not None else None

    def complain(self, setting: str, text: str) -> str:
        """Return a complaint about a setting such as `broker.tls`, with its place in the file."""
        return complaint_at(self._source, setting.split("."), text)

    def catalog_files(self) -> CatalogFiles:
        """Return the settings of the catalog loader."""
        return CatalogFiles(
            mappings=self.catalogs.mappings,
            devices=self.catalogs.devices,
            ingress=self.ingress.topics,
            egress_topic=self.egress.topic,
            egress_qos=self.egress.qos,
            own=self.own_topics,
            settings=self._source,
        )


def complaint_at(source: SettingsText, place: Sequence[str | int], text: str) -> str:
    """Return a complaint about the setting at `place`, with its file and line."""
    line = line_of(source.text, place)
    where = f"{source.path}:{line}: " if line else f"{source.path}: "
    return f"{where}{'.'.join(map(name_of, place))}: {text}"


def describe(settings: Settings) -> str:
    """Return the settings as YAML without secrets."""
    return yaml.safe_dump(settings.model_dump(mode="json", exclude={"broker": {"password"}}), sort_keys=False)
