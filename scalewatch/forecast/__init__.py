"""This run against its law: where it will end, how sure that is, how far off its law it is."""

from scalewatch.forecast.final_loss import FINAL_SHARE as FINAL_SHARE
from scalewatch.forecast.forecast import Forecast as Forecast
from scalewatch.forecast.forecast import LawResidual as LawResidual
from scalewatch.forecast.forecaster import Forecaster as Forecaster
