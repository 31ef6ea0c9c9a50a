"""The parts of an image that are hidden together."""

from heatproof.evaluators.regions.boxes import Boxes as Boxes
from heatproof.evaluators.regions.regions import Regions as Regions
from heatproof.evaluators.regions.segmentation import REGIONS as REGIONS
from heatproof.evaluators.regions.segmentation import Segmentation as Segmentation
from heatproof.evaluators.regions.segmentations import Grid as Grid
from heatproof.evaluators.regions.segmentations import Patches as Patches
from heatproof.evaluators.regions.segmentations import Pixels as Pixels
from heatproof.evaluators.regions.segmentations import Quickshift as Quickshift
from heatproof.evaluators.regions.segmentations import Slic as Slic
