"""The model: vision, language, projector, mask decoder, and how they answer together."""
