"""Fine-tuning on one's own pictures, categories and questions."""
