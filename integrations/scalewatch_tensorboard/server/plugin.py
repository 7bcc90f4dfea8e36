"""The plugin that TensorBoard talks to: which routes there are, and nothing that takes time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

from tensorboard.plugins import base_plugin

from scalewatch_tensorboard.runs.logdirs import Logdirs
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.server import NAME
from scalewatch_tensorboard.server.static_files import static_table

__all__ = ["DATA_ROUTES", "ScaleWatchPlugin"]

#: Routes that answer with data; `routes.py` has what answers.
DATA_ROUTES = ("/runs", "/run", "/chart", "/whatif", "/rows", "/vega.js")

#: Time that TensorBoard's start is left alone [s].
FIRST_PAUSE_SECONDS = 0.4

Application = Callable[..., Iterable[bytes]]


@final
class ScaleWatchPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """The tab.

    Args:
        context: of this TensorBoard, with its flags and its folder of logs.
    """

    plugin_name = NAME

    def __init__(self, context: base_plugin.TBContext) -> None:
        self.registry = RunRegistry(Logdirs.of(context.logdir, context.flags))
        self._static = static_table()
        self._lock = threading.Lock()
        self._applications: dict[str, Application] = {}

    def get_plugin_apps(self) -> Mapping[str, Application]:
        """Return each route with its application; a route that is not among them does not exist."""
        threading.Thread(target=self._read, name=NAME, daemon=True).start()
        return {route: self._at_first_request(route) for route in (*self._static, *DATA_ROUTES)}

    def _read(self) -> None:
        # TensorBoard's own start is left alone: what follows is half a second of imports
        time.sleep(FIRST_PAUSE_SECONDS)
        from scalewatch_tensorboard.runs.ingest import Ingester
        from scalewatch_tensorboard.views.figures import import_charts
        from scalewatch_tensorboard.views.overview import row_of

        reader = Ingester(self.registry, row_of, import_charts)
        self.registry.reader = reader
        reader.run()

    def _at_first_request(self, route: str) -> Application:
        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            with self._lock:
                if not self._applications:
                    self._applications = self._made()
            return self._applications[route](environ, start_response)

        return application

    def _made(self) -> dict[str, Application]:
        # imported by the first request and not by TensorBoard's start, which everybody waits for
        from scalewatch_tensorboard.server.responses import application
        from scalewatch_tensorboard.server.routes import routes
        from scalewatch_tensorboard.server.static_files import static_handler

        handlers = {route: static_handler(path) for route, path in self._static.items()} | dict(routes(self.registry))
        return {route: application(route, handler) for route, handler in handlers.items()}

    def is_active(self) -> bool:
        """Return whether there is a run to show."""
        return self.registry.has_runs()

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Return the name of the tab and of the module that draws it."""
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="ScaleWatch")

    def data_plugin_names(self) -> tuple[str, ...]:
        """Return whose summaries it looks at: none by way of TensorBoard, which samples them."""
        return ()
