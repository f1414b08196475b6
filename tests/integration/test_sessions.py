"""Sessions: how they end, what is recorded of them, and how that leaves Home Assistant."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, MqttMockHAClient
from sqlalchemy.exc import OperationalError

from custom_components.iot_data_bridge import session_actions
from custom_components.iot_data_bridge.const import DOMAIN
from custom_components.iot_data_bridge.database import stored_sessions
from custom_components.iot_data_bridge.devices.sessions import Outcome, SessionRecord

from .conftest import Say, Show

pytestmark = pytest.mark.usefixtures("site", "prices")

type Shop = Callable[..., None]
TARGET = {"entity_id": "sensor.basket_1_items"}


@pytest.fixture
def shop(say: Say) -> Shop:
    """Return what begins a session and fills the basket."""

    def shop(number: int = 1, contents: str = '{"MLON":1}') -> None:
        say(f"basket/{number}/status", "start")
        say(f"basket/{number}/update", f'{{"id":{number},"list":{contents}}}')

    return shop


@pytest.fixture
def echoing(mqtt_mock: MqttMockHAClient, say: Say) -> None:
    """Send our own commands back to us, as a broker does."""

    async def publish(topic: str, payload: str, *_: object, **__: object) -> None:
        say(topic, payload)

    mqtt_mock.async_publish.side_effect = publish


def names_of(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if "sessions.csv" in file.name]


async def recorded(hass: HomeAssistant, site: MockConfigEntry) -> list[SessionRecord]:
    await hass.async_block_till_done()
    return [session for _, session in await site.runtime_data.stored_sessions.async_page(0)]


async def exported(hass: HomeAssistant, **data: Any) -> list[dict[str, str]]:  # noqa: ANN401 -- what a user may send
    await hass.async_block_till_done()
    answer = await hass.services.async_call(DOMAIN, "export_sessions", data, blocking=True, return_response=True)
    assert answer is not None
    found = list(csv.DictReader(io.StringIO(str(answer["csv"]))))
    assert answer["sessions"] == len(found)
    return found


@pytest.mark.usefixtures("echoing")
@pytest.mark.parametrize(
    ("end", "outcome", "revenue"),
    [("end", "paid", "10800"), ("cancel", "cancelled", "0"), ("other", "unknown", "10800")],
)
async def test_only_a_cancelled_session_is_no_revenue(
    hass: HomeAssistant,
    site: MockConfigEntry,
    shop: Shop,
    say: Say,
    show: Show,
    freezer: FrozenDateTimeFactory,
    end: str,
    outcome: str,
    revenue: str,
) -> None:
    started = dt_util.utcnow().replace(microsecond=0)
    shop()
    await hass.async_block_till_done()
    freezer.tick(timedelta(minutes=3))
    if end == "other":
        say("basket/1/status", "end")
    else:
        await hass.services.async_call(DOMAIN, end, TARGET, blocking=True)
    [session] = await recorded(hass, site)
    assert (session.basket, session.outcome) == ("basket/1", Outcome(outcome))
    assert (session.total, session.items) == (Decimal(10800), 1)
    assert (session.started, session.ended) == (started, dt_util.utcnow())
    assert [(line.code, line.name, line.count, line.unit_price) for line in session.lines] == [
        ("MLON", "Melon", 1, Decimal(10800))
    ]
    assert show("event.basket_1_activity").attributes["outcome"] == outcome
    site.runtime_data.baskets.summarise()
    await hass.async_block_till_done()
    assert show("sensor.shop_revenue_today").state == revenue


@pytest.mark.usefixtures("echoing")
async def test_a_button_cancels(hass: HomeAssistant, site: MockConfigEntry, shop: Shop) -> None:
    shop()
    await hass.async_block_till_done()
    await hass.services.async_call("button", "press", {"entity_id": "button.basket_1_cancel"}, blocking=True)
    [session] = await recorded(hass, site)
    assert session.outcome is Outcome.CANCELLED


async def test_a_basket_hears_of_a_cancel_what_it_hears_of_an_end(
    hass: HomeAssistant, shop: Shop, mqtt_mock: MqttMockHAClient
) -> None:
    shop()
    await hass.async_block_till_done()
    await hass.services.async_call(DOMAIN, "cancel", TARGET, blocking=True)
    [call] = mqtt_mock.async_publish.call_args_list
    assert call.args[:2] == ("basket/1/status", '{"msg":"end"}')


async def test_a_cancel_that_was_not_sent_says_nothing_of_the_next_end(
    hass: HomeAssistant, site: MockConfigEntry, shop: Shop, say: Say, mqtt_mock: MqttMockHAClient
) -> None:
    shop()
    await hass.async_block_till_done()
    mqtt_mock.async_publish.side_effect = HomeAssistantError("not connected")
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call(DOMAIN, "cancel", TARGET, blocking=True)
    say("basket/1/status", "end")
    [session] = await recorded(hass, site)
    assert session.outcome is Outcome.UNKNOWN


@pytest.mark.usefixtures("echoing")
async def test_a_cancel_without_a_session_says_nothing_of_the_next_one(
    hass: HomeAssistant, site: MockConfigEntry, shop: Shop, say: Say
) -> None:
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    await hass.services.async_call(DOMAIN, "cancel", TARGET, blocking=True)
    shop()
    say("basket/1/status", "end")
    [session] = await recorded(hass, site)
    assert session.outcome is Outcome.UNKNOWN


async def test_of_a_product_without_a_price_the_shown_total_is_recorded(
    hass: HomeAssistant, site: MockConfigEntry, shop: Shop, say: Say
) -> None:
    shop(contents='{"XXXX":2}')
    say("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":700}}')
    say("basket/1/status", "end")
    shop(2, contents='{"XXXX":1}')
    say("basket/2/status", "end")
    shown, unknown = await recorded(hass, site)
    assert (shown.total, unknown.total) == (Decimal(700), None)
    assert shown.lines[0].unit_price is None


async def test_sessions_come_back_after_a_restart_with_the_prices_of_then(
    hass: HomeAssistant, site: MockConfigEntry, shop: Shop, say: Say
) -> None:
    shop()
    say("basket/1/status", "end")
    before = await recorded(hass, site)
    await hass.services.async_call(DOMAIN, "set_product", {"code": "MLON", "price": 1, "name": "X"}, blocking=True)
    await hass.config_entries.async_reload(site.entry_id)
    assert await recorded(hass, site) == before


async def test_a_session_that_ends_with_the_site_is_recorded(
    hass: HomeAssistant, site: MockConfigEntry, shop: Shop, say: Say
) -> None:
    shop()
    say("basket/1/status", "end")
    # Nothing is awaited between the end and the unload.
    await hass.config_entries.async_reload(site.entry_id)
    assert len(await recorded(hass, site)) == 1


class TestRetention:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"session_days": 30}

    async def test_a_session_is_kept_for_its_time(
        self, hass: HomeAssistant, site: MockConfigEntry, shop: Shop, say: Say, freezer: FrozenDateTimeFactory
    ) -> None:
        shop()
        say("basket/1/status", "end")
        await hass.async_block_till_done()
        freezer.tick(timedelta(days=29))
        shop(2)
        say("basket/2/status", "end")
        assert [session.basket for session in await recorded(hass, site)] == ["basket/1", "basket/2"]
        freezer.tick(timedelta(days=2))
        shop(3)
        say("basket/3/status", "end")
        assert [session.basket for session in await recorded(hass, site)] == ["basket/2", "basket/3"]
        # Without another session too.
        freezer.tick(timedelta(days=40))
        await hass.config_entries.async_reload(site.entry_id)
        assert await recorded(hass, site) == []

    async def test_a_changed_time_takes_effect_without_a_reload(
        self, hass: HomeAssistant, site: MockConfigEntry, shop: Shop, say: Say, freezer: FrozenDateTimeFactory
    ) -> None:
        hub = site.runtime_data
        shop()
        say("basket/1/status", "end")
        await hass.async_block_till_done()
        hass.config_entries.async_update_entry(site, options={"session_days": 1})
        await hass.async_block_till_done()
        assert site.runtime_data is hub
        freezer.tick(timedelta(days=2))
        shop(2)
        say("basket/2/status", "end")
        assert [session.basket for session in await recorded(hass, site)] == ["basket/2"]


async def test_the_record_is_bounded_in_number_and_size(
    hass: HomeAssistant, site: MockConfigEntry, shop: Shop, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_sessions, "MOST_SESSIONS", 3)
    for number in range(5):
        shop(number)
        say(f"basket/{number}/status", "end")
        await hass.async_block_till_done()
    assert [session.basket for session in await recorded(hass, site)] == ["basket/2", "basket/3", "basket/4"]
    monkeypatch.setattr(stored_sessions, "LARGEST_DATABASE", 1000)
    monkeypatch.setattr(stored_sessions, "DROPPED", 2)
    shop(9)
    say("basket/9/status", "end")
    assert [session.basket for session in await recorded(hass, site)] == ["basket/9"]


async def test_a_session_that_cannot_be_written_is_counted_and_said_once(
    hass: HomeAssistant,
    site: MockConfigEntry,
    shop: Shop,
    say: Say,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise OperationalError("INSERT", None, Exception("disk full"))

    monkeypatch.setattr(stored_sessions, "_add", full)
    for _ in range(3):
        shop()
        say("basket/1/status", "end")
        await hass.async_block_till_done()
    assert site.runtime_data.stored_sessions.lost == 3
    assert caplog.text.count("disk full") == 1


class TestExport:
    async def test_an_action_answers_the_table(
        self, hass: HomeAssistant, shop: Shop, say: Say, freezer: FrozenDateTimeFactory
    ) -> None:
        freezer.move_to("2026-11-20T03:00:00+00:00")
        shop()
        say("basket/1/status", "end")
        await hass.async_block_till_done()
        freezer.move_to("2026-11-21T03:00:00+00:00")
        shop(2, '{"MLON":2,"XXXX":1}')
        say("basket/2/status", "end")
        first, second = await exported(hass)
        assert (first["session"], first["basket"], first["from"], first["total"]) == (
            "1",
            "basket/1",
            "2026-11-20 12:00:00",
            "10800",
        )
        assert second["lines"] == "MLON Melon \N{MULTIPLICATION SIGN} 2 = 21600; XXXX \N{MULTIPLICATION SIGN} 1"
        assert await exported(hass, **{"from": "2026-11-21 00:00:00"}) == [second]
        assert await exported(hass, until="2026-11-21 00:00:00") == [first]
        assert await exported(hass, until="2026-11-21T12:00:01+09:00", **{"from": "2026-11-21T12:00:00+09:00"}) == [
            second
        ]

    async def test_pages_make_one_table(
        self, hass: HomeAssistant, shop: Shop, say: Say, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stored_sessions, "PAGE", 2)
        for number in range(5):
            shop(number)
            say(f"basket/{number}/status", "end")
        assert [row["basket"] for row in await exported(hass)] == [f"basket/{number}" for number in range(5)]

    async def test_an_action_writes_a_file(self, hass: HomeAssistant, shop: Shop, say: Say, tmp_path: Path) -> None:
        shop()
        say("basket/1/status", "end")
        await hass.async_block_till_done()
        hass.config.allowlist_external_dirs = {str(tmp_path)}
        path = tmp_path / "sessions.csv"
        data = {"filename": str(path)}
        await hass.services.async_call(DOMAIN, "export_sessions", data, blocking=True)
        written = await hass.async_add_executor_job(path.read_bytes)
        # By which Excel knows that it is UTF-8.
        assert written.startswith(b"\xef\xbb\xbfsession,basket,")
        assert written.count(b"\r\n") == 2
        answer = await hass.services.async_call(DOMAIN, "export_sessions", data, blocking=True, return_response=True)
        assert answer == {"sessions": 1, "filename": str(path)}
        assert await hass.async_add_executor_job(names_of, tmp_path) == ["sessions.csv"]

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            ({"filename": "/etc/passwd"}, "path_not_allowed"),
            ({}, "nothing_to_export_to"),
            ({"config_entry_id": "nonsense"}, "service_config_entry_not_found"),
        ],
    )
    async def test_what_cannot_be_is_an_error(self, hass: HomeAssistant, data: dict[str, Any], error: str) -> None:
        with pytest.raises(ServiceValidationError) as caught:
            await hass.services.async_call(DOMAIN, "export_sessions", data, blocking=True)
        assert caught.value.translation_key == error

    async def test_a_file_that_cannot_be_written_is_an_error(self, hass: HomeAssistant, tmp_path: Path) -> None:
        hass.config.allowlist_external_dirs = {str(tmp_path)}
        data = {"filename": str(tmp_path / "none" / "sessions.csv")}
        with pytest.raises(HomeAssistantError) as caught:
            await hass.services.async_call(DOMAIN, "export_sessions", data, blocking=True)
        assert caught.value.translation_key == "file_not_written"

    async def test_an_answer_is_bounded(
        self, hass: HomeAssistant, shop: Shop, say: Say, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session_actions, "MOST_ANSWERED", 1)
        for number in (1, 2):
            shop(number)
            say(f"basket/{number}/status", "end")
        with pytest.raises(ServiceValidationError) as caught:
            await exported(hass)
        assert caught.value.translation_key == "too_many_sessions"
        assert caught.value.translation_placeholders == {"count": "2", "most": "1"}

    async def test_the_options_lead_to_a_download(
        self,
        hass: HomeAssistant,
        site: MockConfigEntry,
        shop: Shop,
        say: Say,
        hass_client: ClientSessionGenerator,
        hass_client_no_auth: ClientSessionGenerator,
    ) -> None:
        shop()
        say("basket/1/status", "end")
        await hass.async_block_till_done()
        assert await async_setup_component(hass, "config", {})
        client = await hass_client()
        flows = "/api/config/config_entries/options/flow"
        menu = await (await client.post(flows, json={"handler": site.entry_id})).json()
        answer = await client.post(f"{flows}/{menu['flow_id']}", json={"next_step_id": "export_sessions"})
        placeholders = (await answer.json())["description_placeholders"]
        assert (placeholders["count"], placeholders["days"]) == ("1", "365")
        link = placeholders["link"]
        # The link is all that a browser needs.
        download = await (await hass_client_no_auth()).get(link)
        assert download.status == 200
        assert download.headers["Content-Disposition"].startswith('attachment; filename="shop_sessions_')
        text = (await download.read()).decode("utf-8-sig")
        assert [row["basket"] for row in csv.DictReader(io.StringIO(text))] == ["basket/1"]

    async def test_a_download_is_for_administrators(
        self,
        site: MockConfigEntry,
        hass_client: ClientSessionGenerator,
        hass_client_no_auth: ClientSessionGenerator,
        hass_admin_user: MockUser,
    ) -> None:
        address = f"/api/{DOMAIN}/sessions/{site.entry_id}"
        assert (await (await hass_client_no_auth()).get(address)).status == 401
        client = await hass_client()
        assert (await client.get(address)).status == 200
        assert (await client.get(f"/api/{DOMAIN}/sessions/none")).status == 404
        hass_admin_user.groups = []
        assert (await client.get(address)).status == 401

    async def test_without_a_database_the_options_say_so(self, hass: HomeAssistant, site: MockConfigEntry) -> None:
        await site.runtime_data.database.async_close()
        flow = await hass.config_entries.options.async_init(site.entry_id)
        result = await hass.config_entries.options.async_configure(flow["flow_id"], {"next_step_id": "export_sessions"})
        assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "database_failed")

    async def test_the_options_end_without_a_change(self, hass: HomeAssistant, site: MockConfigEntry) -> None:
        flow = await hass.config_entries.options.async_init(site.entry_id)
        flow = await hass.config_entries.options.async_configure(flow["flow_id"], {"next_step_id": "export_sessions"})
        result = await hass.config_entries.options.async_configure(flow["flow_id"], {})
        assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "export_finished")
