"""The crash-safe record of a run: one line a record, each with its checksum.

    writer = JournalWriter(folder, run, worker=worker)    # in set-up
    writer.append(observation_record(observation))        # each step: one append to a deque
    writer.append_through(finding_record(finding))        # on the disk within milliseconds
    worker.close()                                        # the rest, and a closing record

    journal = read_journal(folder)                        # after whatever has happened

Why a file of our own, and not TensorBoard's, SQLite or somebody's cloud: it is the one source that
everything else is made from, so it has to survive a kill, a full disk and a flipped bit, be read by
`grep`, and never make training wait. One flipped bit hides the rest of an event file; a torn line
makes a plain JSON journal unreadable from the next append on; a database waits for its locks.

Why each writer has files of its own: a requeued run and its predecessor that is not quite dead yet
then cannot write into each other's lines, and no lock is needed, which a network disk may not have.
"""

from scalewatch.journal.history import Rewind
from scalewatch.journal.limits import JournalLimits
from scalewatch.journal.lines import Record
from scalewatch.journal.reader import Damage, Journal, SegmentInfo, read_journal
from scalewatch.journal.records import (
    advice_from,
    advice_record,
    finding_from,
    finding_record,
    observation_from,
    observation_record,
    run_from,
    run_record,
)
from scalewatch.journal.registered import LAW, LOGGED, logged_in, registered_in
from scalewatch.journal.tail import JournalTail
from scalewatch.journal.writer import JournalWriter

__all__ = [
    "LAW",
    "LOGGED",
    "Damage",
    "Journal",
    "JournalLimits",
    "JournalTail",
    "JournalWriter",
    "Record",
    "Rewind",
    "SegmentInfo",
    "advice_from",
    "advice_record",
    "finding_from",
    "finding_record",
    "logged_in",
    "observation_from",
    "observation_record",
    "read_journal",
    "registered_in",
    "run_from",
    "run_record",
]
