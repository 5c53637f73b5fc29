"""The evaluation questions and how well a model, a bundle or a service answers them."""
