"""Reloads of the catalog: when its files change, and on command."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict

from data_bridge.announcements.announcer import Announcer
from data_bridge.catalog.file_watch import REST_SECONDS
from data_bridge.catalog.model import Catalog
from data_bridge.catalog.store import CatalogDeferredError, CatalogStore, Loaded
from data_bridge.logs import get_logger
from data_bridge.pipeline.pipeline import Pipeline, Ready
from data_bridge.pipeline.ways import Ways
from data_bridge.runtime.commands import Answer, CommandError
from data_bridge.yaml_documents import CatalogError

_LOG = get_logger("data_bridge")
# How often a reload on command waits for files that are being written.
_MOST_LOOKS = 20
_MOST_LINES = 20


class CatalogReloader:
    """Swaps the catalog of a pipeline, one reload at a time, and reports loaded and refused catalogs.

    `before_subscribing` is called on another thread with the ways of the next catalog, `after_subscribing` on the event
    loop once they are in use. `is_subscribed` tells whether the broker has answered all subscriptions.
    """

    def __init__(
        self,
        store: CatalogStore,
        loaded: Loaded,
        pipeline: Pipeline,
        announcer: Announcer,
        before_subscribing: Callable[[Ways], None],
        after_subscribing: Callable[[Ways], None],
        is_subscribed: Callable[[], bool],
    ) -> None:
        """Begin with the catalog that the pipeline was constructed with."""
        self._store = store
        self._pipeline = pipeline
        self._announcer = announcer
        self._before_subscribing = before_subscribing
        self._after_subscribing = after_subscribing
        self._is_subscribed = is_subscribed
        self._unkept: Loaded | None = None
        self._lock = asyncio.Lock()
        self._refused_at_start = loaded.refused
        self._mark_in_use(loaded)
        announcer.use(pipeline.announcement.payload, pipeline.states.keys())

    def connected(self) -> None:
        """Report that the catalog on disk was refused at the start, if it was: events need a connection."""
        if self._refused_at_start is not None:
            self._report_refused(self._refused_at_start)
            self._refused_at_start = None

    async def reload_when_changed(self) -> None:
        """Reload if the files differ from the catalog in use."""
        if not await asyncio.to_thread(self._store.changed):
            return
        try:
            await self._reload()
        except CatalogDeferredError as deferred:
            self._report_deferred(deferred)
        except CatalogError as error:
            self._report_refused(error)

    async def reload_on_command(self) -> Answer:
        """Reload, and return version, number of rules and warnings.

        Raises:
            CommandError: the old catalog stays.
        """
        try:
            catalog = await self._reload_at_rest()
        except CatalogDeferredError as deferred:
            raise CommandError(f"{deferred}; the old catalog stays") from deferred
        except CatalogError as error:
            self._report_refused(error)
            more = f" (and {len(error.more)} more errors)" if error.more else ""
            raise CommandError(f"the catalog was refused, the old one stays: {error}{more}") from error
        return {
            "version": catalog.version,
            "rules": len(catalog.rules),
            "warnings": [str(each) for each in catalog.warnings],
        }

    async def _reload_at_rest(self) -> Catalog:
        """Reload as soon as the files have come to rest.

        Raises:
            CatalogDeferredError: they do not.
        """
        for _ in range(_MOST_LOOKS):
            try:
                return await self._reload()
            except CatalogDeferredError as deferred:
                self._report_deferred(deferred)
            await asyncio.sleep(REST_SECONDS)
        return await self._reload()

    async def _reload(self) -> Catalog:
        """Load, check and compile beside the running catalog, then swap between two messages."""
        async with self._lock:
            loaded = await asyncio.to_thread(self._store.load)
            ready = await asyncio.to_thread(self._prepare, loaded)
            await asyncio.to_thread(self._before_subscribing, ready.ways)
            self._pipeline.swap(ready)
            self._after_subscribing(ready.ways)
            self._announcer.use(ready.announcement.payload, ready.states.keys())
            self._announcer.announce_catalog()
            self._mark_in_use(loaded)
        self.report_loaded()
        return loaded.catalog

    def _prepare(self, loaded: Loaded) -> Ready:
        """Do everything that can fail, before anything is changed.

        Raises:
            CatalogError: something did.
        """
        try:
            return self._pipeline.prepare(loaded.catalog)
        except Exception as error:
            _LOG.exception("catalog_not_prepared")
            raise self._store.refuse(loaded, error) from error

    def _mark_in_use(self, loaded: Loaded) -> None:
        self._store.mark_in_use(loaded)
        self._unkept = loaded

    async def keep(self) -> None:
        """Keep the catalog in use as the last good one, once the broker has answered its subscriptions."""
        loaded = self._unkept
        if loaded is None or not self._is_subscribed():
            return
        self._unkept = None
        try:
            await asyncio.to_thread(self._store.keep, loaded)
        except OSError as error:
            # It is in use all the same; only a later start on a bad one would go back further than this.
            _LOG.warning("catalog_copy_not_kept", version=loaded.catalog.version, error=str(error))

    # ------------------------------------------------------------ reports

    def report_loaded(self) -> None:
        """Report the catalog in use."""
        catalog = self._pipeline.catalog.catalog
        counts = {"rules": len(catalog.rules), "objects": len(catalog.objects), "devices": len(catalog.devices)}
        _LOG.info("catalog_loaded", version=catalog.version, **counts, warnings=len(catalog.warnings))
        for each in catalog.warnings[:_MOST_LINES]:
            _LOG.warning("catalog_warning", file=str(each.path), line=each.line, text=each.text)
        omitted = self._pipeline.announcement.omitted
        if omitted:
            _LOG.warning("catalog_too_large_to_announce", objects_not_announced=omitted)
        self._announcer.event(
            "catalog_loaded",
            version=catalog.version,
            **counts,
            warnings=len(catalog.warnings),
            not_announced=omitted,
        )

    def _report_deferred(self, deferred: CatalogDeferredError) -> None:
        shrinks = deferred.shrinks
        if shrinks is not None:
            counts = asdict(shrinks)
            _LOG.warning("catalog_shrinks", **counts, note="it is used unless the files change before the next look")
            self._announcer.event("catalog_shrinks", **counts)

    def _report_refused(self, error: CatalogError) -> None:
        for each in error.every()[:_MOST_LINES]:
            _LOG.error("catalog_refused", file=str(each.path), line=each.line, reason=each.reason, error=each.text)
        where = {"file": str(error.path), "line": error.line, "reason": error.reason}
        self._announcer.event("catalog_refused", **where, error=error.text, errors=1 + len(error.more))
