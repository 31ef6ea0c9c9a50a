"""How regions of an image are hidden from the model."""

from heatproof.evaluators.removal.blur import Blur as Blur
from heatproof.evaluators.removal.colours import Black as Black
from heatproof.evaluators.removal.colours import Colour as Colour
from heatproof.evaluators.removal.colours import Grey as Grey
from heatproof.evaluators.removal.colours import Grey127 as Grey127
from heatproof.evaluators.removal.colours import Mean as Mean
from heatproof.evaluators.removal.colours import OwnMax as OwnMax
from heatproof.evaluators.removal.colours import OwnMin as OwnMin
from heatproof.evaluators.removal.colours import White as White
from heatproof.evaluators.removal.inpaint import Inpaint as Inpaint
from heatproof.evaluators.removal.layer import Layer as Layer
from heatproof.evaluators.removal.linear_imputation import LinearImputation as LinearImputation
from heatproof.evaluators.removal.neighbourhood import Neighbourhood as Neighbourhood
from heatproof.evaluators.removal.noise import Noise as Noise
from heatproof.evaluators.removal.operator import REMOVALS as REMOVALS
from heatproof.evaluators.removal.operator import Backdrop as Backdrop
from heatproof.evaluators.removal.operator import Fill as Fill
from heatproof.evaluators.removal.operator import Masking as Masking
from heatproof.evaluators.removal.operator import Mode as Mode
from heatproof.evaluators.removal.operator import RemovalOperator as RemovalOperator
from heatproof.evaluators.removal.operator import RemovalView as RemovalView
from heatproof.evaluators.removal.operator import Render as Render
from heatproof.evaluators.removal.substitutes import Adversarial as Adversarial
from heatproof.evaluators.removal.substitutes import Donor as Donor
from heatproof.evaluators.removal.substitutes import Replacement as Replacement
