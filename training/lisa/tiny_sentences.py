"""Sentences that the tiny LISA's tokenizer is trained on, written for it."""

WORDS = (
    "the", "a", "cup", "cat", "dog", "red", "left", "large", "is", "it", "and", "in", "on", "of", "here", "there",
    "see", "table", "tree", "ball", "Sure", "image", ".", ",",
)  # fmt: skip

SENTENCES = (
    "A chat between a curious human and an artificial intelligence assistant.",
    "The assistant gives helpful, detailed, and polite answers to the human's questions.",
    "USER: What is the cup on the table? ASSISTANT: It is here.",
    "USER: Where is the cat in this image? ASSISTANT: Sure, it is there on the left.",
    "USER: Segment the red ball and the tree. ASSISTANT: Sure, the ball and the tree.",
    "USER: Is there a dog on the table? ASSISTANT: There is a cat and there is a cup.",
    "Can you see the large red cup in the image? Sure, it is on the table here.",
    "The dog and the cat see a ball. The ball is red and large. A tree is there on the left.",
    "Birds sit in the tree. The birds see the cat. A bird is on the table of the human.",
    "What is here? It is a large tree. Where is the dog? The dog is left of the tree.",
    "Please output segmentation mask. Please respond with the mask of the image.",
)
