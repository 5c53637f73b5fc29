"""What the model learns from: photos, simulated scenes, questions and their answers."""
