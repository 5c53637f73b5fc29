"""Training of Segue's small reasoning-segmentation model."""
