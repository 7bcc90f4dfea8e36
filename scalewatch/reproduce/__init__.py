"""Published numbers, recomputed: what scalewatch says of laws can be checked on the data behind them.

A library of laws that cannot reproduce the papers it cites is a collection of typing errors. Each row names its
source, its tolerance and what it takes; a row whose data is not there says so and is not counted as passed.
"""

from scalewatch.reproduce.data import ORIGINS as ORIGINS
from scalewatch.reproduce.data import DataFolder as DataFolder
from scalewatch.reproduce.row import Check as Check
from scalewatch.reproduce.row import Outcome as Outcome
from scalewatch.reproduce.row import Row as Row
from scalewatch.reproduce.row import RowResult as RowResult
from scalewatch.reproduce.table import ROWS as ROWS
from scalewatch.reproduce.table import reproduce as reproduce
