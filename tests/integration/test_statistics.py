"""Long-term statistics, with a real recorder."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.models import StatisticMeanType, StatisticMetaData
from homeassistant.components.recorder.statistics import (
    async_import_statistics,
    list_statistic_ids,
    statistics_during_period,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
    do_adhoc_statistics,
)

from custom_components.iot_data_bridge.const import DOMAIN

from .conftest import ENTRY_ID, Say

pytestmark = pytest.mark.usefixtures("recorder_mock")


@pytest.fixture
def mock_recorder_before_hass(async_test_recorder: object) -> None:
    """Have the recorder's database before Home Assistant."""


@pytest.fixture
def site(recorder_mock: object, site: MockConfigEntry) -> MockConfigEntry:  # noqa: ARG001 -- the recorder comes first
    return site


async def statistics(hass: HomeAssistant) -> dict[str, dict[str, Any]]:
    await async_wait_recording_done(hass)
    found = await hass.async_add_executor_job(list_statistic_ids, hass)
    return {str(item["statistic_id"]): dict(item) for item in found}


@pytest.mark.usefixtures("prices")
async def test_amounts_of_money_are_kept_for_long(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, freezer: FrozenDateTimeFactory
) -> None:
    began = dt_util.utcnow().replace(minute=0, second=0, microsecond=0)
    freezer.move_to(began)
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/1/status", "end")
    site.runtime_data.baskets.summarise()
    await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    do_adhoc_statistics(hass, start=began)
    found = await statistics(hass)
    amounts = ("sensor.basket_1_total_price", "sensor.shop_revenue_today", "sensor.shop_value_on_the_floor")
    for amount in amounts:
        assert (found[amount]["has_sum"], found[amount]["statistics_unit_of_measurement"]) == (True, "KRW")
    during = partial(
        statistics_during_period, hass, began - timedelta(hours=1), None, set(amounts), "5minute", None, {"state"}
    )
    rows = await hass.async_add_executor_job(during)
    assert rows["sensor.shop_revenue_today"][0]["state"] == 10800


async def test_counts_of_an_earlier_version_go_on_without_their_unit(hass: HomeAssistant, mqtt_mock: object) -> None:
    assert mqtt_mock is not None
    entry = MockConfigEntry(domain=DOMAIN, entry_id=ENTRY_ID, title="Shop", version=1, data={})
    entry.add_to_hass(hass)
    unique_id = f"site:{ENTRY_ID}:baskets_in_use"
    er.async_get(hass).async_get_or_create(
        "sensor", DOMAIN, unique_id, suggested_object_id="shop_baskets_in_use", config_entry=entry
    )
    metadata = StatisticMetaData(
        has_sum=False,
        mean_type=StatisticMeanType.ARITHMETIC,
        name=None,
        source="recorder",
        statistic_id="sensor.shop_baskets_in_use",
        unit_class=None,
        unit_of_measurement="baskets",
    )
    hour = dt_util.utcnow().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    async_import_statistics(hass, metadata, [{"start": hour, "mean": 3.0}])
    assert (await statistics(hass))["sensor.shop_baskets_in_use"]["statistics_unit_of_measurement"] == "baskets"
    assert await hass.config_entries.async_setup(ENTRY_ID)
    await hass.async_block_till_done()
    assert (await statistics(hass))["sensor.shop_baskets_in_use"]["statistics_unit_of_measurement"] is None
    assert await hass.config_entries.async_unload(ENTRY_ID)
