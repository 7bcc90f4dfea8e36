"""Findings become messages that arrive, once, where people are, and never touch the run.

rules = load_rules("alerts.toml")                      # or Rules.to("slack")
dispatcher = Dispatcher(run, run_id, make_receivers(rules), rules, folder=folder)
dispatcher.begin()
dispatcher.submit(findings, advice)                       # on the training thread: an append
dispatcher.end("as planned", Severity.INFO, rows)
dispatcher.close()                                        # within 2 s, whatever the other side does
"""

from scalewatch.alert.dedup import Decision, Incident, LogEntry, Reason, SentLog, decide, judge
from scalewatch.alert.dispatcher import Dispatcher
from scalewatch.alert.notification import Item, Notification, Recommendation, Status, plain_text
from scalewatch.alert.receiver import Receiver
from scalewatch.alert.registry import make_receivers, receiver_classes
from scalewatch.alert.rules import Quiet, Route, Rules, Silence, Threshold, load_rules
from scalewatch.alert.secret import DeliveryError, Secret
from scalewatch.alert.silences import SilenceFile
from scalewatch.alert.transport.http import Http

__all__ = [
    "Decision",
    "DeliveryError",
    "Dispatcher",
    "Http",
    "Incident",
    "Item",
    "LogEntry",
    "Notification",
    "Quiet",
    "Reason",
    "Receiver",
    "Recommendation",
    "Route",
    "Rules",
    "Secret",
    "SentLog",
    "Silence",
    "SilenceFile",
    "Status",
    "Threshold",
    "decide",
    "judge",
    "load_rules",
    "make_receivers",
    "plain_text",
    "receiver_classes",
]
