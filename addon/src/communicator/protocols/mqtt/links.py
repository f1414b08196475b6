"""Which kind of link a client gets: the fast one where paho fits, else the stock one with a warning."""

import logging
import warnings

from paho.mqtt.client import Client

from communicator.protocols.mqtt.fast_client import FastClient
from communicator.protocols.mqtt.fast_link import FastLink
from communicator.protocols.mqtt.link import Link, new_client
from communicator.protocols.mqtt.paho_contract import misfits
from communicator.protocols.mqtt.session import Session
from communicator.protocols.mqtt.stock_link import StockLink

_logger = logging.getLogger(__name__)


def fast_link(session: Session, version5: bool) -> Link:
    """Return a link with the fast path, or a stock link and a warning when this paho has other private names."""
    if session.config.transport == "websockets":
        return stock_link(session, version5)
    wrong = misfits(new_client(Client, session.config, session.client_id, version5))
    if wrong:
        text = f"the installed paho-mqtt does not fit the fast path ({'; '.join(wrong)}): using its public interface"
        _logger.warning(text)
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return stock_link(session, version5)
    return FastLink(
        session.config,
        session,
        new_client(FastClient, session.config, session.client_id, version5),
    )


def stock_link(session: Session, version5: bool) -> Link:
    """Return a link on paho's public interface."""
    client = new_client(Client, session.config, session.client_id, version5)
    return StockLink(session.config, session, client)
