"""A run beside the test: it writes a journal, has alerts of its own if it is given an address, and is killed.

python watched_run.py FOLDER FIRST_STEP [ends|says]        prints "ready" when ten steps are on the disk
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from scalewatch import Observation, Run
from scalewatch.alert import Dispatcher, Http, Rules, Secret
from scalewatch.alert.receivers.webhook import Webhook
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.journal import JournalWriter, observation_record
from scalewatch.worker import Worker


def main() -> None:
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    run, worker = Run("gpt", total_steps=100), Worker(0.05)
    resumes = first if first > 1 else None
    journal = JournalWriter(folder, run, run_id="run-1", resumes_after_step=resumes, worker=worker)
    worker.start()
    dispatcher = None
    if "URL" in os.environ:
        hook = Webhook(Secret("URL"), http=Http(loopback=True))
        dispatcher = Dispatcher(run, "run-1", {"w": hook}, Rules.to("w"), folder=folder)
        dispatcher.begin()
    for step in range(first, first + 10):
        journal.append(observation_record(Observation(step, 3.0)))
        if dispatcher is not None:
            dispatcher.observe(step, 3.0)
    if dispatcher is not None and first == 1:
        dispatcher.submit([Finding(Kind.NONFINITE, Severity.CRITICAL, 9, 9, "loss is nan at step 9")], [])
    time.sleep(1.0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if "says" in sys.argv and dispatcher is not None:  # its end is told, and the disk was too slow for the journal's
        dispatcher.end("as planned", Severity.INFO, [])
        dispatcher.close()
        os._exit(0)
    if "ends" in sys.argv:
        worker.close()
        return
    time.sleep(60)


if __name__ == "__main__":
    main()
