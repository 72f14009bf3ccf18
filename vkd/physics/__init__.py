"""How images come to be: the degradations that restoration undoes."""
