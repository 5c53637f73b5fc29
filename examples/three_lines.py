from segue_client import ask

answer = ask("examples/coffee.jpg", "Segment the cup and the spoon.")  # of the service at SEGUE_URL
print(answer.words, answer.masks.shape, answer.masks.sum(axis=(1, 2)))
