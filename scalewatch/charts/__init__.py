"""Charts of runs and laws, one a file: the same definition for panel, report, notebook and PNG."""

from scalewatch.charts.collapse import NormalisedCurve as NormalisedCurve
from scalewatch.charts.collapse import collapse as collapse
from scalewatch.charts.decimate import Envelope as Envelope
from scalewatch.charts.decimate import envelope as envelope
from scalewatch.charts.isoflop import Minima as Minima
from scalewatch.charts.isoflop import isoflop as isoflop
from scalewatch.charts.isoloss import Contour as Contour
from scalewatch.charts.isoloss import isoloss as isoloss
from scalewatch.charts.ladder import Target as Target
from scalewatch.charts.ladder import ladder as ladder
from scalewatch.charts.loss_against_compute import loss_against_compute as loss_against_compute
from scalewatch.charts.loss_against_law import Band as Band
from scalewatch.charts.loss_against_law import loss_against_law as loss_against_law
from scalewatch.charts.residuals import residuals as residuals
from scalewatch.charts.save import check_suffix as check_suffix
from scalewatch.charts.save import save_chart as save_chart
from scalewatch.charts.style import Ribbon as Ribbon
from scalewatch.charts.three_approaches import Answer as Answer
from scalewatch.charts.three_approaches import three_approaches as three_approaches
