"""The process in which apprise works: an address and a message as JSON on standard input, an exit code.

It is run as a file and imports nothing of ours, so that it starts in a third of a second.
"""

import json
import sys

__all__ = ["NOT_TAKEN", "NOT_UNDERSTOOD", "TAKEN", "main"]

#: Exit codes; 1 is also what Python ends with after a fault.
TAKEN, NOT_TAKEN, NOT_UNDERSTOOD = 0, 1, 3


def main() -> int:
    """Send a message; without one, only say whether there is such an address.

    Returns:
        The exit code.
    """
    from apprise import Apprise, AppriseAsset, OverflowMode

    words = json.load(sys.stdin)
    asset = AppriseAsset(async_mode=False, secure_logging=True)
    if hasattr(asset, "http_redirects"):  # the address is a secret: nobody may lead it elsewhere
        asset.http_redirects = False
    service = Apprise.instantiate(words["address"], asset=asset, suppress_exceptions=True)
    if service is None:
        return NOT_UNDERSTOOD
    if "body" not in words:
        return TAKEN
    if "overflow=" not in words["address"]:
        service.overflow_mode = OverflowMode.TRUNCATE  # a message too long arrives cut rather than not at all
    sender = Apprise(asset=asset)
    sender.add(service)
    taken = sender.notify(words["body"], title=words["title"], notify_type=words["type"], body_format="text")
    return TAKEN if taken else NOT_TAKEN


if __name__ == "__main__":
    sys.exit(main())
