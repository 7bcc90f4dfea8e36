# ruff: noqa: I001  the names of a module on one line
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

from typing import TYPE_CHECKING

from scalewatch.lazy import lazy_names

if TYPE_CHECKING:
    from scalewatch.journal.history import Rewind as Rewind
    from scalewatch.journal.limits import JournalLimits as JournalLimits
    from scalewatch.journal.lines import Record as Record
    from scalewatch.journal.reader import (
        Damage as Damage,
        Journal as Journal,
        SegmentInfo as SegmentInfo,
        read_journal as read_journal,
    )
    from scalewatch.journal.records import (
        advice_from as advice_from,
        advice_record as advice_record,
        finding_from as finding_from,
        finding_record as finding_record,
        observation_from as observation_from,
        observation_record as observation_record,
        run_from as run_from,
        run_record as run_record,
    )
    from scalewatch.journal.registered import (
        LAW as LAW,
        LOGGED as LOGGED,
        logged_in as logged_in,
        registered_in as registered_in,
    )
    from scalewatch.journal.tail import JournalTail as JournalTail
    from scalewatch.journal.writer import JournalWriter as JournalWriter
else:
    # a log of another program is watched without a journal
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "history": "Rewind",
            "limits": "JournalLimits",
            "lines": "Record",
            "reader": "Damage Journal SegmentInfo read_journal",
            "records": (
                "advice_from advice_record finding_from finding_record "
                "observation_from observation_record run_from run_record"
            ),
            "registered": "LAW LOGGED logged_in registered_in",
            "tail": "JournalTail",
            "writer": "JournalWriter",
        },
    )
