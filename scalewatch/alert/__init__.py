"""Findings become messages that arrive, once, where people are, and never touch the run.

rules = load_rules("alerts.toml")                      # or Rules.to("slack")
alerter = Alerter(run, run_id, make_receivers(rules), rules, folder=folder)
alerter.begin()
alerter.take(findings, advice)                         # on the training thread: an append
alerter.end("as planned", Severity.INFO, rows)
alerter.close()                                        # within 2 s, whatever the other side does
"""

from scalewatch.alert.alerter import Alerter
from scalewatch.alert.decide import Decision, Incident, Reason, SentLog, Told, decide, judge
from scalewatch.alert.http import Http
from scalewatch.alert.notice import Item, Notice, Recommendation, Status, plain_text
from scalewatch.alert.receiver import DeliveryError, Receiver, Secret, make_receivers, receiver_classes
from scalewatch.alert.rules import Quiet, Route, Rules, Silence, Threshold, load_rules
from scalewatch.alert.silences import SilenceFile

__all__ = [
    "Alerter",
    "Decision",
    "DeliveryError",
    "Http",
    "Incident",
    "Item",
    "Notice",
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
    "Told",
    "decide",
    "judge",
    "load_rules",
    "make_receivers",
    "plain_text",
    "receiver_classes",
]
