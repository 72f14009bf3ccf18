from .edsr import EDSR
from .imdn import IMDN
from .imdn_as import IMDN_AS
from .imdn_rtc import IMDN_RTC
from .preprocessor import RestorationPreprocessor
from .rcan import RCAN
from .restorer import Restorer
from .rfdn import RFDN

__all__ = ['EDSR', 'IMDN', 'IMDN_AS', 'IMDN_RTC', 'RCAN', 'RFDN', 'RestorationPreprocessor', 'Restorer']
