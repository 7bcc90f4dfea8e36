"""Alerts in Slack: an incoming webhook (SLACK_WEBHOOK_URL), or a bot with a thread a run (SLACK_BOT_TOKEN).

Messages are built with slack_sdk, whose classes check them against Slack's limits. They are not sent with it: its
client follows a redirect to another host and takes the bearer token along, and a server that trickles holds it
far beyond its timeout (both measured with 3.47).
"""

from __future__ import annotations

from scalewatch_slack.receiver import Slack

__all__ = ["Slack"]
