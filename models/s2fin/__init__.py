"""S2Fin: a spatial-spectral-frequency network for two co-located images, in PyTorch.

The roles of the modules are those published by Liu, Gao, Li, Zhang, Gong and Bruzzone, "A Spatial-Spectral-Frequency
Interactive Network for Multimodal Remote Sensing Classification", arXiv 2510.04628. The equations are this project's
own reconstruction of those roles: the paper's were not available, and nothing here should be read as a quotation of it.

This package needs only torch and the standard library.
"""

from s2fin.config import S2FinConfig
from s2fin.network import S2Fin
from s2fin.standardizer import Standardizer
from s2fin.stem import StemMaps

__all__ = ["S2Fin", "S2FinConfig", "Standardizer", "StemMaps"]
