"""Charts of runs and laws, one a file: the same definition for panel, report, notebook and PNG."""

from scalewatch.charts.decimate import Envelope as Envelope
from scalewatch.charts.decimate import envelope as envelope
from scalewatch.charts.loss_against_law import Band as Band
from scalewatch.charts.loss_against_law import loss_against_law as loss_against_law
from scalewatch.charts.save import save_chart as save_chart
