"""The SQLite file of a site."""

import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_data_bridge import backup
from custom_components.iot_data_bridge.const import DOMAIN
from custom_components.iot_data_bridge.database import site_database

from .conftest import ENTRY_ID, Say, Show

ISSUE = f"database_damaged_{ENTRY_ID}"


@pytest.fixture
def path(hass: HomeAssistant) -> Path:
    return Path(hass.config.path(".storage", f"{DOMAIN}.{ENTRY_ID}.db"))


async def set_price(hass: HomeAssistant, code: str, price: int) -> None:
    await hass.services.async_call(DOMAIN, "set_product", {"code": code, "price": price}, blocking=True)


def size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, raw: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)


def make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def delete(path: Path) -> None:
    path.rmdir() if path.is_dir() else path.unlink()


def beside(path: Path, pattern: str) -> list[Path]:
    return sorted(path.parent.glob(pattern))


def rows(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT code, price FROM products"))
    finally:
        connection.close()


@pytest.mark.usefixtures("prices")
async def test_prices_are_in_the_file_when_they_are_answered_for(hass: HomeAssistant, path: Path) -> None:
    await set_price(hass, "PEAR", 500)
    await hass.services.async_call(DOMAIN, "remove_product", {"code": "WTMN"}, blocking=True)
    assert rows(path) == {"MLON": "12000", "PEAR": "500"}


@pytest.mark.usefixtures("prices")
async def test_prices_come_back_after_a_restart(hass: HomeAssistant, site: MockConfigEntry) -> None:
    before = list(site.runtime_data.prices)
    await hass.config_entries.async_reload(site.entry_id)
    assert list(site.runtime_data.prices) == before


@pytest.mark.usefixtures("prices")
async def test_one_change_writes_one_row(hass: HomeAssistant, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE written (code TEXT);"
        "CREATE TRIGGER i AFTER INSERT ON products BEGIN INSERT INTO written VALUES (new.code); END;"
        "CREATE TRIGGER u AFTER UPDATE ON products BEGIN INSERT INTO written VALUES (new.code); END;"
    )
    await set_price(hass, "MLON", 500)
    await set_price(hass, "MLON", 500)
    assert list(connection.execute("SELECT code FROM written")) == [("MLON",)]
    connection.close()


@pytest.mark.usefixtures("prices")
async def test_a_price_that_cannot_be_stored_is_not_computed_with(
    hass: HomeAssistant, path: Path, say: Say, show: Show, caplog: pytest.LogCaptureFixture
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await hass.async_block_till_done()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TRIGGER i BEFORE UPDATE ON products BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    connection.commit()
    connection.close()
    with pytest.raises(HomeAssistantError) as caught:
        await set_price(hass, "MLON", 500)
    assert caught.value.translation_key == "database_failed"
    assert "disk full" in caplog.text
    assert show("sensor.basket_1_total_price").state == "10800"
    caplog.clear()


@pytest.fixture
def set_up(hass: HomeAssistant, entry: MockConfigEntry, mqtt_mock: object) -> MockConfigEntry:
    """A site that is about to be set up."""
    assert mqtt_mock is not None
    entry.add_to_hass(hass)
    return entry


async def test_the_price_list_of_an_earlier_version_is_taken_over_once(
    hass: HomeAssistant, set_up: MockConfigEntry, hass_storage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    key = f"{DOMAIN}.{ENTRY_ID}.products"
    melon = {"code": "MLON", "name": "Melon", "price": "12000", "discount_rate": "10", "category": None, "brand": "B"}
    broken = {"code": "PEAR", "price": "?"}
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": [melon, broken]}
    assert await hass.config_entries.async_setup(ENTRY_ID)
    [product] = set_up.runtime_data.prices
    assert (product.code, product.name, product.price, product.discount_rate, product.brand) == (
        "MLON",
        "Melon",
        12000,
        10,
        "B",
    )
    assert "A stored product cannot be used" in caplog.text
    assert key not in hass_storage
    # What cannot be used is kept.
    assert hass_storage[f"{key}_left_out"]["data"] == [broken]
    await hass.services.async_call(DOMAIN, "remove_product", {"code": "MLON"}, blocking=True)
    assert await hass.config_entries.async_reload(ENTRY_ID)
    assert len(set_up.runtime_data.prices) == 0
    await hass.config_entries.async_remove(ENTRY_ID)
    assert not [name for name in hass_storage if name.startswith(DOMAIN)]


@pytest.mark.parametrize("damage", [b"no database at all" * 500, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_damaged_file_is_moved_aside_and_the_site_runs(
    hass: HomeAssistant,
    set_up: MockConfigEntry,
    path: Path,
    damage: bytes,
    say: Say,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site_database, "MOST_DAMAGED", 2)
    issues = ir.async_get(hass)
    for number in range(3):
        write(path, damage + bytes([number]))
        write(path.with_name(f"{path.name}-wal"), b"x")
        assert await hass.config_entries.async_setup(ENTRY_ID)
        await set_price(hass, "MLON", 5)
        say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
        await hass.async_block_till_done()
        assert await hass.config_entries.async_unload(ENTRY_ID)
        freezer.tick(1)
    # The newest ones are kept.
    kept = beside(path, "*.damaged-*[0-9]")
    assert [read(file)[-1] for file in kept] == [1, 2]
    issue = issues.async_get_issue(DOMAIN, ISSUE)
    assert issue is not None
    assert (issue.translation_placeholders or {})["file"].replace("\\", "") == str(kept[-1])
    for file in kept:
        delete(file)
    assert await hass.config_entries.async_setup(ENTRY_ID)
    assert issues.async_get_issue(DOMAIN, ISSUE) is None
    assert [product.code for product in set_up.runtime_data.prices] == ["MLON"]


@pytest.mark.usefixtures("prices")
async def test_damage_within_the_file_is_found_when_it_is_opened(
    hass: HomeAssistant, site: MockConfigEntry, path: Path
) -> None:
    await hass.config_entries.async_unload(site.entry_id)
    raw = bytearray(read(path))
    raw[4096 : 2 * 4096] = b"\x55" * 4096
    write(path, bytes(raw))
    assert await hass.config_entries.async_setup(site.entry_id)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE) is not None
    assert len(site.runtime_data.prices) == 0
    await hass.config_entries.async_remove(site.entry_id)
    assert ir.async_get(hass).async_get_issue(DOMAIN, ISSUE) is None
    assert not beside(path, f"{DOMAIN}*")


async def test_a_file_that_cannot_be_made_delays_the_site(
    hass: HomeAssistant, set_up: MockConfigEntry, path: Path
) -> None:
    make_folder(path)
    assert not await hass.config_entries.async_setup(ENTRY_ID)
    assert set_up.state is ConfigEntryState.SETUP_RETRY
    delete(path)
    assert await hass.config_entries.async_reload(ENTRY_ID)


@pytest.mark.usefixtures("prices")
async def test_a_site_that_is_not_loaded_holds_no_file_open(
    hass: HomeAssistant, site: MockConfigEntry, path: Path
) -> None:
    hub = site.runtime_data
    await hass.config_entries.async_unload(site.entry_id)
    assert size(path.with_name(f"{path.name}-wal")) is None
    with pytest.raises(HomeAssistantError) as caught:
        await hub.stored_prices.async_change([], remove=["MLON"])
    assert caught.value.translation_key == "database_closed"


@pytest.mark.usefixtures("prices")
async def test_a_backup_has_a_sound_file_though_prices_change_meanwhile(
    hass: HomeAssistant, site: MockConfigEntry, path: Path, tmp_path: Path
) -> None:
    write_ahead_log = path.with_name(f"{path.name}-wal")
    assert size(write_ahead_log)
    await backup.async_pre_backup(hass)
    assert size(write_ahead_log) == 0
    before = read(path)
    products = [{"code": f"P{number}", "name": "x" * 200, "price": 1} for number in range(30_000)]
    await hass.services.async_call(DOMAIN, "set_products", {"products": products}, blocking=True)
    # Far more than SQLite moves into the file by itself, even when it is closed.
    assert read(path) == before
    archive = tmp_path / "backup.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(path, path.name)
        tar.add(write_ahead_log, write_ahead_log.name)
    await hass.config_entries.async_unload(site.entry_id)
    assert read(path) == before
    assert await hass.config_entries.async_setup(site.entry_id)
    await backup.async_post_backup(hass)
    await set_price(hass, "MLON", 1)
    await hass.config_entries.async_unload(site.entry_id)
    assert size(write_ahead_log) is None
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "restored", filter="data")
    restored = tmp_path / "restored" / path.name
    assert len(rows(restored)) == 30_002
    assert rows(restored)["MLON"] == "12000"


@pytest.mark.usefixtures("prices")
async def test_a_backup_goes_on_without_a_database(
    hass: HomeAssistant, site: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    await site.runtime_data.database.async_close()
    await backup.async_pre_backup(hass)
    await backup.async_post_backup(hass)
    assert "could not be prepared" in caplog.text
