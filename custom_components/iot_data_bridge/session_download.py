"""The download of the record of sessions, which the options lead to."""

from datetime import timedelta
from http import HTTPStatus

from aiohttp import web
from homeassistant.components.http.auth import async_sign_path
from homeassistant.components.http.const import KEY_HASS_USER
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView
from homeassistant.util import dt as dt_util
from homeassistant.util import slugify

from .const import DOMAIN
from .hub import SiteConfigEntry
from .session_export import BYTE_ORDER_MARK, async_csv

LINK_TIME = timedelta(minutes=10)
_URL = f"/api/{DOMAIN}/sessions"


class SessionsView(HomeAssistantView):
    """The table of a site's sessions, for administrators."""

    url = f"{_URL}/{{entry_id}}"
    name = f"api:{DOMAIN}:sessions"

    async def get(self, request: web.Request, entry_id: str) -> web.StreamResponse:
        """Send the table part by part."""
        if not request[KEY_HASS_USER].is_admin:
            raise Unauthorized
        hass = request.app[KEY_HASS]
        entries: list[SiteConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
        entry = next((entry for entry in entries if entry.entry_id == entry_id), None)
        if entry is None:
            return self.json_message("not found", HTTPStatus.NOT_FOUND)
        name = f"{slugify(entry.title)}_sessions_{dt_util.now():%Y-%m-%d}.csv"
        response = web.StreamResponse(
            headers={"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"'}
        )
        await response.prepare(request)
        await response.write(BYTE_ORDER_MARK.encode())
        async for part in async_csv(hass, entry.runtime_data.stored_sessions):
            await response.write(part.encode())
        await response.write_eof()
        return response


@callback
def download_link(hass: HomeAssistant, entry_id: str) -> str:
    """Return an address that the current user can open for ten minutes."""
    return async_sign_path(hass, f"{_URL}/{entry_id}", LINK_TIME)
