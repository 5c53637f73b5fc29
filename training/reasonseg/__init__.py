"""Scores reasoning segmentation as LISA (Lai et al., CVPR 2024) does, on the ReasonSeg benchmark's own files."""
