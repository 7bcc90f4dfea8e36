"""The plugin that TensorBoard talks to: which routes there are, and nothing that takes time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

from tensorboard.plugins import base_plugin

from scalewatch_tensorboard.runs.logdirs import Logdirs
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.server.loader import NAME
from scalewatch_tensorboard.server.static_files import static_table

__all__ = ["DATA_ROUTES", "ScaleWatchPlugin"]

#: Routes that answer with data; `routes.py` has what answers.
DATA_ROUTES = ("/runs", "/run", "/chart", "/whatif", "/rows", "/vega.js")

Application = Callable[..., Iterable[bytes]]


@final
class ScaleWatchPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """The tab.

    Args:
        context: of this TensorBoard, with its flags and its folder of logs.
    """

    plugin_name = NAME

    def __init__(self, context: base_plugin.TBContext) -> None:
        self.library = RunRegistry(Logdirs.of(context.logdir, context.flags))
        self._static = static_table()
        self._lock = threading.Lock()
        self._applications: dict[str, Application] = {}

    def get_plugin_apps(self) -> Mapping[str, Application]:
        """Return each route with its application; a route that is not among them does not exist."""
        self.library.start()
        return {route: self._at_first_request(route) for route in (*self._static, *DATA_ROUTES)}

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

        handlers = {route: static_handler(path) for route, path in self._static.items()} | dict(routes(self.library))
        return {route: application(route, handler) for route, handler in handlers.items()}

    def is_active(self) -> bool:
        """Return whether there is a run to show."""
        return self.library.has_runs()

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Return the name of the tab and of the module that draws it."""
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="ScaleWatch")

    def data_plugin_names(self) -> tuple[str, ...]:
        """Return whose summaries it looks at: none by way of TensorBoard, which samples them."""
        return ()
