"""LISA (Lai et al., CVPR 2024): its published checkpoints loaded by their own key names and written as Segue bundles."""
