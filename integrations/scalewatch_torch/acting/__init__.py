"""What is done to a run in any torch loop: by hooks of its optimizers, and by words that the loop carries out."""
